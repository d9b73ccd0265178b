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

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the TCP header begins.
    const AT: usize = DEVICE_BYTES + LINK_BYTES + LEAST_IP_BYTES;

    /// A segment with these flags, options and content, and a checksum that is right; its link's padding behind it.
    fn frame(flags: u8, options: &[u8], content: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; DEVICE_BYTES];
        frame.extend([[1; 6], [2; 6]].as_flattened());
        frame.extend(IPV4);
        let whole = (LEAST_IP_BYTES + LEAST_TCP_BYTES + options.len() + content.len()) as u16;
        frame.extend([
            0x45,
            0,
            (whole >> 8) as u8,
            whole as u8,
            0,
            1,
            0x40,
            0,
            64,
            TCP,
            0,
            0,
            192,
            0,
            2,
            2,
            192,
            0,
            2,
            1,
        ]);
        let header_words = ((LEAST_TCP_BYTES + options.len()) / 4) as u8;
        frame.extend([
            0x80,
            1,
            0x1f,
            0x90,
            1,
            2,
            3,
            4,
            0xff,
            6,
            7,
            8,
            header_words << 4,
            flags,
            0x01,
            0xf6,
            0,
            0,
            0,
            0,
        ]);
        frame.extend(options);
        frame.extend(content);
        let end = frame.len();
        let sum = sum(&frame[..end]);
        frame[AT + CHECKSUM..AT + CHECKSUM + 2].copy_from_slice(&(!sum).to_be_bytes());
        frame.extend([0xee; 6]);
        frame
    }

    /// Of the segment and its pseudo header: all ones when its checksum is right.
    fn sum(frame: &[u8]) -> u16 {
        let pseudo = [&frame[AT - 8..AT], &[0, TCP], &((frame.len() - AT) as u16).to_be_bytes()].concat();
        let bytes = [&pseudo, &frame[AT..]].concat();
        let sum: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| low.into())).sum();
        let once = (sum & 0xffff) + (sum >> 16);
        ((once & 0xffff) + (once >> 16)) as u16
    }

    #[test]
    fn what_is_changed_keeps_a_right_checksum() {
        for (options, shift) in [
            (&[2, 4, 5, 0xb4, 1, 3, 3, 7][..], 7),
            (&[4, 2, 3, 3, 10, 0, 0, 0], 10),
            (&[3, 3, 14, 0], 14),
            (&[2, 4, 5, 0xb4], 0),
            (&[0, 3, 3, 9], 0),
            (&[], 0),
        ] {
            for content in [&b""[..], b"odd"] {
                let mut frame = frame(0x02, options, content);
                let end = frame.len() - 6;
                assert_eq!(sum(&frame[..end]), 0xffff);
                let mut segment = Segment::of(&mut frame).expect("a segment");
                assert!(segment.begins());
                assert_eq!(segment.payload_bytes(), content.len());
                assert_eq!(segment.unscale(), shift);
                assert_eq!(segment.unscale(), 0);
                segment.narrow(shift, 1);
                assert_eq!(frame[AT + WINDOW..][..2], [0, 1]);
                assert_eq!(sum(&frame[..end]), 0xffff, "{options:?}");
            }
        }
    }

    #[test]
    fn a_window_is_what_was_meant_or_less() {
        for (shift, most, window) in [(0, u16::MAX, 0x1f6), (3, u16::MAX, 0xfb0), (14, u16::MAX, u16::MAX), (7, 1, 1)] {
            let mut frame = frame(0x10, &[], b"");
            let mut segment = Segment::of(&mut frame).expect("a segment");
            assert_eq!((segment.ports(), segment.acknowledged()), ((0x8001, 0x1f90), Some(0xff06_0708)));
            segment.narrow(shift, most);
            assert_eq!(word(&frame, AT + WINDOW), window);
        }
    }

    #[test]
    fn a_partial_checksum_is_left_to_the_next() {
        let mut frame = frame(0x10, &[], b"content");
        frame[0] = PARTIAL_CHECKSUM;
        let before = word(&frame, AT + CHECKSUM);
        Segment::of(&mut frame).expect("a segment").narrow(0, 1);
        assert_eq!(word(&frame, AT + CHECKSUM), before);
    }

    #[test]
    fn what_is_no_whole_segment_is_none() {
        let good = frame(0x02, &[3, 3, 7, 0], b"");
        for end in 0..good.len() - 6 {
            assert!(Segment::of(&mut good[..end].to_vec()).is_none(), "{end} bytes");
        }
        for (at, byte) in [(DEVICE_BYTES + 12, 0x86), (AT - 11, 17), (AT - 13, 1), (AT + 12, 0x40), (AT + 12, 0xf0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(Segment::of(&mut bad).is_none(), "{byte} at {at}");
        }
    }
}
