//! Flow control: all of it at once, or one parameter.

use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::screen::complain;
use crate::show::code;
use iogate::port::FlowControl;

pub(super) const FAMILY: Family = Family {
    name: "flow-control",
    about: "Pause frames.",
    commands: &[
        Command {
            pattern: "set flow_ctrl rx on|off tx on|off high:u32 low:u32 pause:u16 xon:u16 mac_ctrl_frame_fwd on|off autoneg on|off port:u16",
            help: "Set the flow control of a port.",
            run: all,
        },
        Command {
            pattern: "set flow_ctrl rx|tx on|off port:u16",
            help: "Obey pause frames or not, send them or not.",
            run: |app, v| {
                let (rx, on) = (v.is(2, "rx"), v.is(3, "on"));
                change(app, v.u16(4), |flow| if rx { flow.rx = on } else { flow.tx = on });
            },
        },
        Command {
            pattern: "set flow_ctrl high_water bytes:u32 port:u16",
            help: "Set the fill level at which a pause frame is sent.",
            run: |app, v| change(app, v.u16(4), |flow| flow.high_water = v.number(3) as u32),
        },
        Command {
            pattern: "set flow_ctrl low_water bytes:u32 port:u16",
            help: "Set the fill level at which a pause ends.",
            run: |app, v| change(app, v.u16(4), |flow| flow.low_water = v.number(3) as u32),
        },
        Command {
            pattern: "set flow_ctrl pause_time quanta:u16 port:u16",
            help: "Set how long a pause is.",
            run: |app, v| change(app, v.u16(4), |flow| flow.pause_time = v.u16(3)),
        },
        Command {
            pattern: "set flow_ctrl send_xon xon:u16 port:u16",
            help: "Announce the end of a pause (1), or not (0).",
            run: |app, v| change(app, v.u16(4), |flow| flow.send_xon = v.u16(3) != 0),
        },
        Command {
            pattern: "set flow_ctrl mac_ctrl_frame_fwd on|off port:u16",
            help: "Receive control frames as packets, or not.",
            run: |app, v| change(app, v.u16(4), |flow| flow.forward_control = v.is(3, "on")),
        },
        Command {
            pattern: "set flow_ctrl autoneg on|off port:u16",
            help: "Negotiate flow control, or not.",
            run: |app, v| change(app, v.u16(4), |flow| flow.autoneg = v.is(3, "on")),
        },
    ],
};

fn all(app: &mut App, values: &Values) {
    let flow = FlowControl {
        rx: values.is(3, "on"),
        tx: values.is(5, "on"),
        high_water: values.number(6) as u32,
        low_water: values.number(7) as u32,
        pause_time: values.u16(8),
        send_xon: values.u16(9) != 0,
        forward_control: values.is(11, "on"),
        autoneg: values.is(13, "on"),
    };
    let Some(port) = app.port(values.u16(14)) else { return };
    if let Err(error) = port.device.set_flow_control(&flow) {
        complain!("bad flow control parameter, return code = {}", code(&error));
    }
}

/// Changes one parameter; the others stay.
fn change(app: &mut App, id: u16, work: impl FnOnce(&mut FlowControl)) {
    let Some(port) = app.ports.get(id) else {
        complain!("Invalid port_id={id}");
        return complain!("cannot get current flow ctrl parameters, return code = -19");
    };
    let mut flow = match port.device.flow_control() {
        Ok(flow) => flow,
        Err(error) => return complain!("cannot get current flow ctrl parameters, return code = {}", code(&error)),
    };
    work(&mut flow);
    if let Err(error) = port.device.set_flow_control(&flow) {
        complain!("bad flow control parameter, return code = {}", code(&error));
    }
}
