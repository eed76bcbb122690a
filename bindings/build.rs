//! Finds the distribution's DPDK with pkg-config, compiles `shim.c` with exactly its flags and
//! binds the functions on the allowlist.

use std::env;
use std::panic;
use std::path::PathBuf;
use std::process;

/// The first and the last DPDK release (year.month) that the bindings are tested with.
const SUPPORTED: (&str, &str) = ("22.11", "24.11.99");

const FUNCTIONS: &[&str] = &[
    "rte_eal_(init|cleanup|has_hugepages|process_type)",
    "rte_version",
    "rte_strerror",
    "rte_thread_(register|unregister)",
    "rte_log_(set_global_level|set_level_pattern)",
    "rte_lcore_(to_socket_id|is_enabled)",
    "rte_get_main_lcore",
    "rte_dev_(probe|remove)",
    "rte_pktmbuf_(free_bulk|copy)",
    "rte_mempool_(free|avail_count|obj_iter)",
    "rte_malloc_get_socket_stats",
    "rte_eth_dev_(configure|start|stop|close|info_get|get_port_by_name|is_valid_port|get_mtu|set_mtu|socket_id|adjust_nb_rx_tx_desc|set_link_up|set_link_down|rss_reta_update|rss_reta_query)",
    "rte_eth_dev_rx_intr_(enable|disable|ctl_q)",
    "rte_eth_find_next",
    "rte_eth_(rx|tx)_queue_setup",
    "rte_eth_dev_(rx|tx)_queue_(start|stop)",
    "rte_eth_dev_set_(rx|tx)_queue_stats_mapping",
    "rte_eth_dev_(reset|get_name_by_port|fw_version_get|rx_offload_name|tx_offload_name|capability_name)",
    "rte_eth_dev_(set_vlan_offload|get_vlan_offload|vlan_filter|set_mc_addr_list|default_mac_addr_set)",
    "rte_eth_dev_(mac_addr_add|mac_addr_remove|flow_ctrl_get|flow_ctrl_set|get_supported_ptypes)",
    "rte_eth_dev_udp_tunnel_port_(add|delete)",
    "rte_eth_macaddrs_get",
    "rte_eth_link_speed_to_str",
    "rte_get_ptype_name",
    "rte_eth_(promiscuous|allmulticast)_(enable|disable|get)",
    "rte_eth_macaddr_get",
    "rte_eth_stats_reset",
    "rte_eth_xstats_(get|get_names|reset)",
    "rte_eth_from_rings",
    "rte_eth_(add|remove|call)_(rx|tx)_callback(s)?",
    "rte_epoll_wait",
    "rte_ring_(create|free)",
    "rte_gro_(ctx_create|ctx_destroy|reassemble|timeout_flush|get_pkt_count)",
    "rte_hash_(create|free|add_key_data|lookup_bulk_data)",
    "shim_.*",
];

const TYPES: &[&str] = &[
    "rte_eth_tunnel_type",
    "rte_eth_(conf|rxconf|txconf|dev_info|xstat|xstat_name|rss_reta_entry64|fc_conf|udp_tunnel)",
    "rte_malloc_socket_stats",
    "rte_epoll_event",
    "rte_gro_param",
    "rte_hash_parameters",
    "shim_.*",
];

const CONSTANTS: &[&str] = &[
    "RTE_(ETHER_ADDR_LEN|PKTMBUF_HEADROOM|MAX_ETHPORTS|LOG_.*|EPOLL_PER_THREAD|INTR_EVENT_(ADD|DEL))",
    "RTE_ETH_LINK_.*",
    "RTE_ETH_(VLAN|QUEUE_STATE|FC|QINQ_STRIP)_.*",
    "RTE_(MAX_LCORE|MP_MAX_FD_NUM)",
    "RTE_GRO_TCP_IPV4_INDEX",
    "RTE_VER_(YEAR|MONTH|MINOR)",
    "rte_eth_fp_ops",
    "SHIM_.*",
];

fn main() {
    println!("cargo::rerun-if-changed=shim.c");
    println!("cargo::rerun-if-changed=shim.h");
    println!("cargo::rustc-env=DPDK_SYS_BUILD_SCRIPT={}", env::current_exe().unwrap_or_default().display());

    let dpdk = find_dpdk();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let cflags = cflags();
    bind(&out, &cflags);
    compile_shim(&cflags);
    // rte_eth_from_rings() is a function of a driver library that is called directly; drivers
    // are not in pkg-config's list because EAL loads them from its plugin directory.
    println!("cargo::rustc-link-lib=rte_net_ring");
    // And rte_eth_vhost_get_vid_from_port_id(), which tells the guest of a port.
    println!("cargo::rustc-link-lib=rte_net_vhost");
    println!("cargo::metadata=version={}", dpdk.version);
}

fn find_dpdk() -> pkg_config::Library {
    use pkg_config::Error;
    let (first, last) = SUPPORTED;
    let found = pkg_config::Config::new().range_version(first..last).probe("libdpdk");
    match found {
        Ok(library) => library,
        Err(Error::Command { command, cause }) => {
            fail(&format!("cannot run `{command}` ({cause}): install pkg-config (Debian: apt install pkg-config)"))
        }
        Err(Error::ProbeFailure { .. }) | Err(Error::Failure { .. }) => fail(&format!(
            "pkg-config finds no libdpdk of a supported version ({first} to {}): install it (Debian: apt install \
             libdpdk-dev), or point PKG_CONFIG_PATH at the folder of libdpdk.pc",
            last.trim_end_matches(".99")
        )),
        Err(error) => fail(&error.to_string().replace('\n', " ")),
    }
}

/// The flags the distribution compiled DPDK with, verbatim: `-include rte_config.h` and `-march`
/// decide the layout of structures, so leaving one out would bind something else.
fn cflags() -> Vec<String> {
    let pkg_config = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = process::Command::new(&pkg_config).args(["--cflags", "libdpdk"]).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
        }
        _ => fail(&format!("`{pkg_config} --cflags libdpdk` failed: install libdpdk-dev and pkg-config")),
    }
}

fn bind(out: &std::path::Path, cflags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(cflags)
        .allowlist_recursively(true)
        // Our own definition, its offsets asserted in shim.c: the field paths that bindgen would
        // give change between releases, the offsets do not.
        .blocklist_type("rte_mbuf")
        .raw_line("use crate::mbuf::rte_mbuf;")
        // Packed and aligned at once, which Rust cannot lay out.
        .opaque_type("rte_arp_.*|rte_l2tpv2_.*|rte_gtp_psc_.*|rte_ecpri_.*")
        // Reached through pointers only.
        .opaque_type("rte_flow|rte_mempool|rte_ring|rte_memzone|rte_device|rte_eth_dev|rte_hash|rte_intr_.*")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    // It would be looked for elsewhere then, and perhaps another one be found.
    if let Some(folder) = env::var_os("LIBCLANG_PATH").map(PathBuf::from).filter(|folder| !folder.exists()) {
        fail(&format!(
            "there is no {}: install libclang (Debian: apt install libclang-dev), or correct LIBCLANG_PATH",
            folder.display()
        ));
    }
    // bindgen panics when libclang cannot be loaded; what its user needs is the name of a package.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let generated = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    panic::set_hook(hook);
    match generated {
        Ok(Ok(bindings)) => bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable"),
        Ok(Err(error)) => fail(&format!("cannot bind DPDK's headers: {}", error.to_string().replace('\n', " "))),
        Err(cause) => {
            let text = cause.downcast_ref::<String>().cloned().unwrap_or_default();
            let text = text.lines().next().unwrap_or("libclang could not be loaded").to_owned();
            fail(&format!("{text}: install libclang (Debian: apt install libclang-dev), or set LIBCLANG_PATH"))
        }
    }
}

fn compile_shim(cflags: &[String]) {
    let mut build = cc::Build::new();
    build.file("shim.c").opt_level(3).warnings(true);
    for flag in cflags {
        build.flag(flag);
    }
    if let Err(error) = build.try_compile("iogate_dpdk_shim") {
        fail(&format!(
            "cannot compile shim.c, which also checks DPDK's mbuf layout: {}",
            error.to_string().replace('\n', " ")
        ));
    }
}

/// Ends the build with one line in cargo's own error format.
fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    process::exit(1)
}
