//! TCP segments over IPv4 in the frames of a tap device.

/// What the device puts before a frame (`virtio_net_hdr`), and its flag for a checksum that covers only the pseudo header
/// yet: the rest is left to who sends it on.
const DEVICE_BYTES: usize = 10;
const PARTIAL_CHECKSUM: u8 = 1;

/// Ethernet: two addresses and a type.
const LINK_BYTES: usize = 14;
const IPV4: [u8; 2] = [8, 0];

/// In an IPv4 header (RFC 791), and in a TCP header (RFC 9293).
const TCP: u8 = 6;
const LEAST_IP_BYTES: usize = 20;
const LEAST_TCP_BYTES: usize = 20;
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;

/// Kinds of options: two without a length, and the window's scale (RFC 7323 §2.2).
const END: u8 = 0;
const NOTHING: u8 = 1;
const SCALE: u8 = 3;

/// A segment, which can be changed in its frame. Its checksum goes with it.
pub(crate) struct Segment<'a> {
    /// Header, and what there is behind it.
    bytes: &'a mut [u8],
    header_bytes: usize,
    payload_bytes: usize,
    partial_checksum: bool,
}

impl<'a> Segment<'a> {
    /// The segment in a frame, which may be one that the kernel left together; nothing if that has none, or only the end of
    /// one.
    pub(crate) fn of(frame: &'a mut [u8]) -> Option<Self> {
        let (device, frame) = frame.split_at_mut_checked(DEVICE_BYTES)?;
        let (link, packet) = frame.split_at_mut_checked(LINK_BYTES)?;
        if !link.ends_with(&IPV4) || packet.len() < LEAST_IP_BYTES {
            return None;
        }
        let whole = usize::from(word(packet, 2));
        let later_fragment = word(packet, 6) & 0x1fff != 0;
        let ip_bytes = usize::from(packet[0] & 0xf) * 4;
        if packet[9] != TCP || later_fragment || ip_bytes < LEAST_IP_BYTES {
            return None;
        }
        let bytes = packet.get_mut(ip_bytes..whole)?;
        let header_bytes = usize::from(bytes.get(12)? >> 4) * 4;
        let payload_bytes = bytes.len().checked_sub(header_bytes)?;
        let partial_checksum = device[0] & PARTIAL_CHECKSUM != 0;
        (header_bytes >= LEAST_TCP_BYTES).then_some(Self { bytes, header_bytes, payload_bytes, partial_checksum })
    }

    /// Where it comes from, and where it goes.
    pub(crate) fn ports(&self) -> (u16, u16) {
        (word(self.bytes, 0), word(self.bytes, 2))
    }

    /// Whether it is the first of a connection.
    pub(crate) fn begins(&self) -> bool {
        self.bytes[13] & 0x12 == 0x02
    }

    /// Up to where the other's bytes have come.
    pub(crate) fn acknowledged(&self) -> Option<u32> {
        let number = u32::from(word(self.bytes, 8)) << 16 | u32::from(word(self.bytes, 10));
        (self.bytes[13] & 0x10 != 0).then_some(number)
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Sets the window to no more than `most` bytes, where its unit is `1 << shift` until now.
    pub(crate) fn narrow(&mut self, shift: u8, most: u16) {
        let bytes = u64::from(word(self.bytes, WINDOW)) << shift.min(14);
        let [high, low] = u16::try_from(bytes).unwrap_or(u16::MAX).min(most).to_be_bytes();
        self.put(WINDOW, high);
        self.put(WINDOW + 1, low);
    }

    /// Makes the unit of all windows that follow a byte; returns the shift that it was to be.
    pub(crate) fn unscale(&mut self) -> u8 {
        let mut at = LEAST_TCP_BYTES;
        while at + 2 < self.header_bytes {
            match self.bytes[at] {
                END => break,
                NOTHING => at += 1,
                SCALE => {
                    let shift = self.bytes[at + 2];
                    self.put(at + 2, 0);
                    return shift;
                }
                _ => at += usize::from(self.bytes[at + 1]).max(2),
            }
        }
        0
    }

    /// Changes a byte, and the checksum by the difference (RFC 1624).
    fn put(&mut self, at: usize, byte: u8) {
        let before = word(self.bytes, at & !1);
        self.bytes[at] = byte;
        if self.partial_checksum {
            return;
        }
        let mut sum =
            u32::from(!word(self.bytes, CHECKSUM)) + u32::from(!before) + u32::from(word(self.bytes, at & !1));
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        self.bytes[CHECKSUM..CHECKSUM + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}

/// Of two bytes, the higher first.
fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
