//! Frames of storage protocols, with just enough in them to be told apart.

use super::Frame;
use crate::packet::aoe::{Aoe, Ata};
use crate::packet::fcoe::{FcFrame, FcType, Fcoe, Trailer};
use crate::packet::fip::{Fip, Operation};
use crate::packet::iscsi::{Iscsi, Opcode};
use crate::packet::nvme_tcp::Command;
use crate::packet::{Bth, EtherType, Header};

/// The client's port in frames toward a server.
const CLIENT: u16 = 49_152;

impl Frame {
    /// FCoE: a SCSI command from one FC_ID to another, checksum included.
    pub fn fcoe(self, s_id: u32, d_id: u32, command: &[u8]) -> Self {
        let frame = self.ether_type(EtherType::FCOE).header::<Fcoe>(|_| ()).header::<FcFrame>(|fc| {
            fc.set_r_ctl(0x06);
            fc.set_s_id(s_id);
            fc.set_d_id(d_id);
            fc.set_kind(FcType::FCP);
            fc.set_rx_id(0xffff);
        });
        let frame = frame.payload(command);
        let crc = crc32(&frame.body()[Fcoe::BLANK.len()..]);
        frame.header::<Trailer>(|trailer| trailer.set_crc(crc))
    }

    /// FIP: a message without descriptors.
    pub fn fip(self, operation: Operation, subcode: u8) -> Self {
        self.fip_with(operation, subcode, &[])
    }

    /// FIP: a message with descriptors, whose bytes are a multiple of four.
    pub fn fip_with(self, operation: Operation, subcode: u8, list: &[u8]) -> Self {
        let frame = self.ether_type(EtherType::FIP).padded().header::<Fip>(|fip| {
            fip.set_operation(operation);
            fip.set_subcode(subcode);
            fip.set_list_len((list.len() / 4) as u16);
            fip.set_flags(Fip::FPMA);
        });
        frame.payload(list)
    }

    /// ATA over Ethernet: a read of two sectors.
    pub fn aoe(self, shelf: u16, slot: u8) -> Self {
        let frame = self.ether_type(EtherType::AOE).padded().header::<Aoe>(|aoe| {
            aoe.set_shelf(shelf);
            aoe.set_slot(slot);
            aoe.set_tag(1);
        });
        frame.header::<Ata>(|ata| {
            ata.set_sectors(2);
            ata.set_command(0x24);
        })
    }

    /// RoCE version 1: the network header as zeros, then the transport header. The check at the end
    /// is zeros too.
    pub fn roce_v1(self, dest_qp: u32) -> Self {
        self.ether_type(EtherType::ROCE).payload([0; 40]).header::<Bth>(|bth| bth.set_dest_qp(dest_qp)).payload([0; 4])
    }

    /// RoCE version 2, over an IP layer. The check at the end is zeros.
    pub fn roce_v2(self, dest_qp: u32) -> Self {
        self.udp(CLIENT, 4791).header::<Bth>(|bth| bth.set_dest_qp(dest_qp)).payload([0; 4])
    }

    /// iSCSI, over an IP layer: a SCSI command from the initiator.
    pub fn iscsi(self) -> Self {
        self.tcp(CLIENT, 3260).header::<Iscsi>(|pdu| pdu.set_opcode(Opcode::SCSI_COMMAND))
    }

    /// NVMe over TCP, over an IP layer: a command capsule from the host.
    pub fn nvme_tcp(self) -> Self {
        self.tcp(CLIENT, 4420).header::<Command>(|capsule| capsule.set_namespace(1))
    }

    /// NFS, over an IP layer: a call record.
    pub fn nfs(self) -> Self {
        let call = [0x8000_0028, 1, 0, 2, 100_003, 4, 1, 0, 0, 0, 0_u32].map(u32::to_be_bytes);
        self.tcp(CLIENT, 2049).payload(call.as_flattened())
    }

    /// SMB, over an IP layer: the beginning of a message.
    pub fn smb(self) -> Self {
        self.tcp(CLIENT, 445).payload([0, 0, 0, 64]).payload(b"\xfeSMB").payload([0; 60])
    }

    /// Ceph, over an IP layer: the monitor's banner.
    pub fn ceph(self) -> Self {
        self.tcp(CLIENT, 3300).payload(b"ceph v2\n")
    }
}

/// The CRC of Ethernet and Fibre Channel.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::mac;

    #[test]
    fn crc_of_the_usual_example() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_fcoe_frame_reads_back() {
        let frame = Frame::ethernet(mac(1), mac(2)).fcoe(0x01_02_03, 0x04_05_06, &[0; 32]).build();
        let (_, rest) = Fcoe::parse(&frame[14..]).unwrap();
        let (fc, trailer) = Trailer::split(rest).unwrap();
        assert_eq!(trailer.crc(), crc32(fc));
        let (header, _) = FcFrame::parse(fc).unwrap();
        assert_eq!((header.s_id(), header.d_id(), header.r_ctl()), (0x01_02_03, 0x04_05_06, 6));
    }

    #[test]
    fn tcp_ports_tell_the_others_apart() {
        let over_ip = Frame::ethernet(mac(1), mac(2)).ipv4([1; 4], [2; 4]);
        let port = |frame: Frame| u16::from_be_bytes(frame.build()[36..38].try_into().unwrap());
        let frames = [
            over_ip.clone().iscsi(),
            over_ip.clone().nvme_tcp(),
            over_ip.clone().nfs(),
            over_ip.clone().smb(),
            over_ip.clone().ceph(),
            over_ip.roce_v2(5),
        ];
        assert_eq!(frames.map(port), [3260, 4420, 2049, 445, 3300, 4791]);
    }
}
