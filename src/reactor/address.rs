//! A peer's address as the events `Open` and `Request` carry it.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;

use crate::bridge::RouteId;
use crate::bridge::event::family;

/// The longest address, with route and port before it.
const MOST_BYTES: usize = 20;

/// Route, port and the address's bytes, as the payload begins.
pub struct Place {
    bytes: [u8; MOST_BYTES],
    length: usize,
}

impl Deref for Place {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The family of the address, and what the payload begins with.
pub fn encode(route: RouteId, peer: Option<SocketAddr>) -> (u8, Place) {
    let mut place = Place { bytes: [0; MOST_BYTES], length: 4 };
    place.bytes[..2].copy_from_slice(&route.0.to_le_bytes());
    let Some(peer) = peer else { return (family::NONE, place) };
    place.bytes[2..4].copy_from_slice(&peer.port().to_le_bytes());
    let family = match peer.ip() {
        IpAddr::V4(address) => {
            place.append(&address.octets());
            family::V4
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => {
                place.append(&mapped.octets());
                family::V4_MAPPED
            }
            None => {
                place.append(&address.octets());
                family::V6
            }
        },
    };
    (family, place)
}

impl Place {
    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_families_apart() {
        let encoded = |text: &str| {
            let (family, place) = encode(RouteId(258), Some(text.parse().unwrap()));
            assert_eq!(place[..2], [2, 1]);
            (family, u16::from_le_bytes([place[2], place[3]]), place[4..].to_vec())
        };
        assert_eq!(encoded("127.0.0.1:80"), (family::V4, 80, vec![127, 0, 0, 1]));
        assert_eq!(encoded("[::ffff:10.1.2.3]:443"), (family::V4_MAPPED, 443, vec![10, 1, 2, 3]));
        assert_eq!(encoded("[::1]:9001"), (family::V6, 9001, [vec![0; 15], vec![1]].concat()));
        let (family, place) = encode(RouteId(258), None);
        assert_eq!((family, &*place), (family::NONE, &[2, 1, 0, 0][..]));
    }
}
