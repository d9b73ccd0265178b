//! What stands at the beginning of a connection, as the PROXY protocol or as a request: a verdict does not
//! change with what comes later, nothing but a head is taken for one, and a head that is built says
//! what it was built of.
//!
//! Input: the beginning of a connection; it is also what heads are built of.

use std::net::{IpAddr, SocketAddr};

use tidewire::http::proxy::{Beginning, Client, look};
use tidewire::limits;

use crate::choices::Choices;

const SIGNATURE: [u8; 12] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    check_beginning(data);
    // The same bytes behind a signature, so that a fuzzer need not find it.
    check_beginning(&[&SIGNATURE, data].concat());
    let mut choices = Choices::new(data);
    let built = Built::choose(&mut choices);
    let head = built.head();
    for end in 0..head.len() {
        assert_eq!(look(&head[..end]), Ok(Beginning::Unknown), "{end} bytes of {head:x?}");
    }
    let stream = [&head, choices.remainder()].concat();
    let Ok(Beginning::Proxied { bytes, client }) = look(&stream) else { panic!("no head in {head:x?}") };
    assert_eq!((bytes, client.map(address)), (head.len(), built.client));
}

fn check_beginning(bytes: &[u8]) {
    let verdict = look(bytes);
    let first = (0..=bytes.len()).map(|end| look(&bytes[..end])).find(|seen| *seen != Ok(Beginning::Unknown));
    assert_eq!(first.unwrap_or(Ok(Beginning::Unknown)), verdict, "more bytes change the verdict");
    let is_signed = bytes.iter().zip(&SIGNATURE).all(|(byte, signature)| byte == signature);
    match verdict {
        Ok(Beginning::Request) => assert!(!is_signed),
        Ok(Beginning::Unknown) => assert!(is_signed && bytes.len() < 16 + limits::PROXY_HEAD_BYTES),
        Ok(Beginning::Proxied { bytes: count, client }) => {
            assert!(is_signed && count <= bytes.len());
            let length = usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
            assert_eq!(count, 16 + length);
            assert!(length <= limits::PROXY_HEAD_BYTES && bytes[12] >> 4 == 2);
            assert_eq!(client.map(address), source(&bytes[12..count]));
        }
        Err(refusal) => assert!(is_signed && bytes.len() >= 16 && refusal.status == 400),
    }
}

fn address(client: Client) -> SocketAddr {
    match client {
        Client::V4(address, port) => (address, port).into(),
        Client::V6(address, port) => (address, port).into(),
    }
}

/// The source address of a good head, from its 13th byte on.
fn source(head: &[u8]) -> Option<SocketAddr> {
    let (command, family, block) = (head[0] & 15, head[1], &head[4..]);
    let ip = match (command, family) {
        (1, 0x11) => <[u8; 4]>::try_from(&block[..4]).map(IpAddr::from),
        (1, 0x21) => <[u8; 16]>::try_from(&block[..16]).map(IpAddr::from),
        _ => return None,
    };
    let port = if family == 0x11 { &block[8..10] } else { &block[32..34] };
    Some(SocketAddr::new(ip.expect("an address"), u16::from_be_bytes([port[0], port[1]])))
}

/// A head as a proxy builds it.
struct Built {
    command: u8,
    family: u8,
    block: Vec<u8>,
    client: Option<SocketAddr>,
}

impl Built {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let shape = choices.byte();
        let [from, to] = [choices.word(), choices.word()];
        let mut address = [0; 16];
        address.iter_mut().for_each(|byte| *byte = choices.byte());
        let other = choices.byte();
        let (family, ip) = match shape & 3 {
            0 => (0x11, IpAddr::from([address[0], address[1], address[2], address[3]])),
            1 => (0x21, IpAddr::from(address)),
            // Unix sockets, datagrams and what is not specified have no address for us.
            _ => (if matches!(other, 0x11 | 0x21) { 0 } else { other }, IpAddr::from([0; 4])),
        };
        let mut block = Vec::new();
        if shape & 3 < 2 {
            for ip in [ip, ip] {
                match ip {
                    IpAddr::V4(ip) => block.extend(ip.octets()),
                    IpAddr::V6(ip) => block.extend(ip.octets()),
                }
            }
            block.extend(from.to_be_bytes());
            block.extend(to.to_be_bytes());
        }
        let additions = choices.word() as usize % (limits::PROXY_HEAD_BYTES + 1 - block.len());
        block.resize(block.len() + additions, other);
        let is_local = shape & 4 != 0;
        let client = (shape & 3 < 2 && !is_local).then(|| SocketAddr::new(ip, from));
        Self { command: if is_local { 0x20 } else { 0x21 }, family, block, client }
    }

    fn head(&self) -> Vec<u8> {
        let length = (self.block.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[self.command, self.family], &length, &self.block].concat()
    }
}
