//! A peer's address as the events `Open` and `Request` carry it.

use std::net::{IpAddr, SocketAddr};

use crate::bridge::RouteId;
use crate::bridge::event::family;

/// Family; route, port and the address's bytes, as the payload begins.
pub fn encode(route: RouteId, peer: Option<SocketAddr>) -> (u8, Vec<u8>) {
    let (family, port, bytes, length) = parts(peer);
    (family, [&route.0.to_le_bytes(), &port.to_le_bytes(), &bytes[..length]].concat())
}

/// Family, port, and the address's bytes with their number.
fn parts(peer: Option<SocketAddr>) -> (u8, u16, [u8; 16], usize) {
    let mut bytes = [0; 16];
    let Some(peer) = peer else { return (family::NONE, 0, bytes, 0) };
    let (family, length) = match peer.ip() {
        IpAddr::V4(address) => {
            bytes[..4].copy_from_slice(&address.octets());
            (family::V4, 4)
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => {
                bytes[..4].copy_from_slice(&mapped.octets());
                (family::V4_MAPPED, 4)
            }
            None => {
                bytes = address.octets();
                (family::V6, 16)
            }
        },
    };
    (family, peer.port(), bytes, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_families_apart() {
        let encoded = |text: &str| {
            let (family, port, bytes, length) = parts(Some(text.parse().unwrap()));
            (family, port, bytes[..length].to_vec())
        };
        assert_eq!(encoded("127.0.0.1:80"), (family::V4, 80, vec![127, 0, 0, 1]));
        assert_eq!(encoded("[::ffff:10.1.2.3]:443"), (family::V4_MAPPED, 443, vec![10, 1, 2, 3]));
        assert_eq!(encoded("[::1]:9001"), (family::V6, 9001, [vec![0; 15], vec![1]].concat()));
        assert_eq!(encode(RouteId(258), None), (family::NONE, vec![2, 1, 0, 0]));
    }
}
