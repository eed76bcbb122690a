//! Tests of the NVMe/TCP views.

use super::*;
use proptest::prelude::*;

/// A read of 8 blocks at 0x1_0000_0000.
fn read() -> [u8; 72] {
    let mut bytes = [0; 72];
    bytes[..16].copy_from_slice(&[4, 0, 72, 0, 72, 0, 0, 0, 0x02, 0x40, 0x34, 0x12, 1, 0, 0, 0]);
    bytes[52] = 1;
    bytes[56] = 7;
    bytes
}

/// A Connect for queue 3.
fn connect() -> Vec<u8> {
    let mut bytes = vec![0; 72 + 1024];
    bytes[..16].copy_from_slice(&[4, 0, 72, 72, 0x48, 0x04, 0, 0, 0x7f, 0x40, 1, 0, 1, 0, 0, 0]);
    bytes[50] = 3;
    bytes[328..337].copy_from_slice(b"nqn.disk1");
    bytes[584..593].copy_from_slice(b"nqn.host7");
    bytes
}

const RESPONSE: [u8; 24] = [5, 0, 24, 0, 24, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0x34, 0x12, 0, 0];

properties!(common, NvmeTcp, read());
properties!(command, Command, connect());
properties!(response, Response, RESPONSE);
properties!(connect_data, ConnectData, connect()[72..]);

#[test]
fn reads_a_command() {
    let bytes = read();
    let (command, rest) = Command::parse(&bytes).unwrap();
    assert_eq!((command.opcode(), command.command_id(), command.namespace()), (2, 0x1234, 1));
    assert_eq!((command.first_block(), command.blocks()), (0x1_0000_0000, 8));
    assert_eq!((command.connects_queue(), rest.len()), (None, 0));
}

#[test]
fn reads_a_connect() {
    let bytes = connect();
    let (command, data) = Command::parse(&bytes).unwrap();
    assert_eq!((command.connects_queue(), command.common().data_offset()), (Some(3), 72));
    let (data, _) = ConnectData::parse(data).unwrap();
    assert_eq!((data.subsystem(), data.host()), (&b"nqn.disk1"[..], &b"nqn.host7"[..]));
}

#[test]
fn reads_a_response() {
    let (response, _) = Response::parse(&RESPONSE).unwrap();
    assert_eq!((response.command_id(), response.queue_id(), response.status()), (0x1234, 2, 0));
    assert_eq!(Response::parse(&read()).unwrap_err().why, Why::Kind);
}

#[test]
fn a_name_without_end_fills_its_field() {
    let bytes = [b'x'; 1024];
    assert_eq!(ConnectData::parse(&bytes).unwrap().0.host().len(), 256);
}

#[test]
fn refuses_lies() {
    let bent = |at: usize, value: u8| {
        let mut bytes = read();
        bytes[at] = value;
        NvmeTcp::parse(&bytes).unwrap_err().why
    };
    assert_eq!(bent(2, 7), Why::HeaderLength);
    assert_eq!(bent(3, 71), Why::HeaderLength);
    assert_eq!(bent(3, 73), Why::PayloadLength);
    assert_eq!(bent(4, 71), Why::PayloadLength);
    assert_eq!(bent(7, 0xff), Why::PayloadLength);
}

proptest! {
    #[test]
    fn setters_read_back(a: [u8; 4], len: u32, opcode: u8, id: u16, namespace: u32, result: u64, b: [u16; 4]) {
        let mut bytes = [0; 1024];
        let (pdu, _) = NvmeTcp::place(&mut bytes).unwrap();
        reads_back!(pdu;
            kind, set_kind = PduType(a[0]);
            flags, set_flags = a[1];
            header_len, set_header_len = a[2];
            data_offset, set_data_offset = a[3];
            pdu_len, set_pdu_len = len;
        );
        let (command, _) = Command::place(&mut bytes).unwrap();
        reads_back!(command;
            opcode, set_opcode = opcode;
            command_id, set_command_id = id;
            namespace, set_namespace = namespace;
        );
        let (response, _) = Response::place(&mut bytes).unwrap();
        reads_back!(response;
            result, set_result = result;
            queue_head, set_queue_head = b[0];
            queue_id, set_queue_id = b[1];
            command_id, set_command_id = b[2];
            status, set_status = b[3];
        );
        let (data, _) = ConnectData::place(&mut bytes).unwrap();
        reads_back!(data; controller_id, set_controller_id = id;);
    }
}
