//! What `--help` says.

/// The text behind "Usage:".
pub(crate) fn usage(program: &str) -> String {
    format!("\nUsage: {program} [EAL options] -- [testpmd options]\n\n{OPTIONS}")
}

const OPTIONS: &str = "\
  --interactive, -i: run in interactive mode.
  --auto-start, -a: start forwarding on init [always when non-interactive].
  --tx-first: start forwarding sending a burst first (only if interactive is disabled).
  --stats-period=SECONDS: show statistics every so often (only if interactive is disabled).
  --display-xstats=NAME[,NAME...]: extended statistics to show with them.
  --cmdline-file=FILE: execute CLI commands from a file before the prompt, and echo them.
  --cmdline-file-noecho=FILE: the same without echo.
  --exec='COMMAND; COMMAND': execute CLI commands and quit; ends with 1 when one fails.
  --duration=SECONDS: forward for so long and quit.
  --keep-going: scripts go on after a command that failed, and the end is 0.
  --output=json|text, -o: how `show` answers.
  --idle=spin|sleep: whether forwarding cores may sleep when nothing arrives [spin].
  --nb-cores=N: number of forwarding cores.
  --nb-ports=N: number of forwarding ports.
  --coremask=MASK, --portmask=MASK, --portlist=LIST: which of them.
  --port-topology=paired|chained|loop: how ports are put together.
  --mbuf-size=N[,N...]: sizes of buffers, headroom included, one for each segment of --rxpkts; 0: it is not kept.
  --multi-rx-mempool: refused by devices that cannot choose among pools by a packet's length.
  --total-num-mbufs=N: how many buffers there are.
  --mbcache=N: buffers that each core keeps to itself.
  --mlockall, --no-mlockall: keep all memory where it is.
  --max-pkt-len=N, --max-lro-pkt-size=N: longest frame, and what devices put together from several.
  --eth-peer=PORT,MAC: destination of what a port sends in mac mode.
  --eth-peers-configfile=FILE: the same, one address a line.
  --tx-ip=SRC,DST, --tx-udp=SRC[,DST]: addresses of txonly mode.
  --txpkts=LEN[,LEN...]: segments of txonly and flowgen modes.
  --txonly-multi-flow, --txonly-flows=N: several flows in txonly mode.
  --rxpkts=LEN[,LEN...], --rxoffs=N[,N...]: segments of packets that are received.
  --rxhdrs=HEADER[,HEADER...]: headers that those end with, by eth, ipv4, ipv6, ipv4-udp, ipv6-tcp, ...
  --flowgen-flows=N, --flowgen-clones=N: flows of flowgen mode; how many more times a packet is sent.
  --vxlan-gpe-port=N, --geneve-parsed-port=N: UDP ports of tunnels that csum mode looks into [4790, 6081].
  --tx-offloads=MASK, --rx-offloads=MASK: offloads of all ports.
  --enable-rx-cksum, --enable-scatter, --enable-lro, --disable-crc-strip, --enable-drop-en
  --enable-hw-vlan, --enable-hw-vlan-strip, --enable-hw-vlan-filter, --enable-hw-vlan-extend, --enable-hw-qinq-strip
  --soft-offloads=on|off|auto: do in software what ports cannot [auto: for virtual devices].
  --enable-rss, --disable-rss, --rss-ip, --rss-udp: by what packets are spread over queues.
  --rx-mq-mode=MASK: 0x1: packets are spread over queues.
  --rxq=N, --txq=N: queues of each port.
  --rxd=N, --txd=N: descriptors of each queue.
  --burst=N: packets taken at a time.
  --rxpt, --rxht, --rxwt, --rxfreet, --txpt, --txht, --txwt, --txfreet, --txrst =N: thresholds of queues.
  --forward-mode=MODE: what is done with packets.
  --noisy-tx-sw-buffer-size, --noisy-tx-sw-buffer-flushtime, --noisy-lkup-memory, --noisy-lkup-num-writes,
  --noisy-lkup-num-reads, --noisy-lkup-num-reads-writes =N: how noisy mode behaves.
  --disable-link-check: do not wait for links.
  --disable-device-start: leave ports stopped.
  --eth-link-speed=MBPS: the one speed that links may have.
  --flow-isolate-all: ports receive only what flow rules ask for.
  --disable-flow-flush: flow rules outlive a stop of their port.
  --record-core-cycles, --record-burst-stats: show cycles for each packet, sizes of bursts.
  --no-flush-rx: do not throw away what waits when forwarding starts.
  --no-lsc-interrupt, --no-rmv-interrupt, --mask-event=EVENT, --print-event=EVENT, --numa, --no-numa, --socket-num=N,
  --port-numa-config=LIST, --ring-numa-config=LIST, --mp-alloc=native, --no-iova-contig, --num-procs=1, --proc-id=0,
  --rxq-share[=N], --hairpinq=0, --hairpin-mode=0, --hot-plug: accepted.
  --help, -h: this.
";
