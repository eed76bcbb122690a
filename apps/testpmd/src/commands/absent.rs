//! What the original has and this program has not, as far as it begins with a word that is a command here too.
//!
//! Who types such a command shall learn that it is not there, and not look for what is wrong with its arguments.

/// Beginnings; `*` is any word.
const BEGINNINGS: &[&str] = &[
    "clear port info",
    "clear port fdir",
    "clear vf",
    "flow aged",
    "flow async",
    "flow configure",
    "flow indirect_action",
    "flow indirect_action_list",
    "flow info",
    "flow actions_template",
    "flow pattern_template",
    "flow group",
    "flow pull",
    "flow push",
    "flow queue",
    "flow template_table",
    "flow tunnel",
    "flow update",
    "mac_addr add port",
    "port cleanup",
    "port config * bypass",
    "port config * dcb",
    "port config * dynf",
    "port config * loopback",
    "port config * pctype",
    "port config * tx_metadata",
    "port config bypass",
    "port tm",
    "rx_vlan add * port",
    "rx_vlan rm * port",
    "set all",
    "set bonding",
    "set bypass",
    "set conntrack",
    "set flex_pattern",
    "set flex_item",
    "set ipv6_ext_push",
    "set ipv6_ext_remove",
    "set l2_decap",
    "set l2_encap",
    "set macsec",
    "set mplsogre_decap",
    "set mplsogre_encap",
    "set mplsoudp_decap",
    "set mplsoudp_encap",
    "set nvgre",
    "set nvgre-with-vlan",
    "set pfc_ctrl",
    "set pfc_queue_ctrl",
    "set port * fec_mode",
    "set port * ptype_mask",
    "set port * queue",
    "set port * queue-region",
    "set port * rxq",
    "set port * uta",
    "set port * vf",
    "set port meter",
    "set port setup",
    "set port tm",
    "set raw_decap",
    "set raw_encap",
    "set sample_actions",
    "set tc",
    "set tx",
    "set txtimes",
    "set vf",
    "set vxlan",
    "set vxlan-tos-ttl",
    "set vxlan-with-vlan",
    "show bonding",
    "show bypass",
    "show port * eeprom",
    "show port * fec",
    "show port * fec_mode",
    "show port * flow",
    "show port * module_eeprom",
    "show port * pctype",
    "show port * queue-region",
    "show port * tx_metadata",
    "show port dcb_tc",
    "show port fdir",
    "show port info * representor",
    "show port meter",
    "show port tm",
    "show raw_decap",
    "show raw_encap",
    "show vf",
    "tx_vlan set pvid",
    "vlan set inner",
    "vlan set outer",
    "vlan set stripq",
];

/// Whether a line begins like one of them.
pub(super) fn is(tokens: &[&str]) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        let mut tokens = tokens.iter();
        beginning.split(' ').all(|word| tokens.next().is_some_and(|token| word == "*" || word == *token))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::find;
    use crate::grammar::Refusal;

    #[test]
    fn what_is_absent_is_not_found_and_nothing_that_is_there_is_absent() {
        for beginning in BEGINNINGS {
            let line = beginning.replace('*', "0");
            let tokens: Vec<&str> = line.split(' ').chain(["0", "on"]).collect();
            assert_eq!(find(&tokens).map(|_| ()), Err(Refusal::NotFound), "{line}");
        }
        for line in ["set nosuch", "show port", "flow", "vlan set", "set port 0 nosuch", "port config all txq x"] {
            assert!(!is(&line.split(' ').collect::<Vec<_>>()), "{line}");
        }
    }
}
