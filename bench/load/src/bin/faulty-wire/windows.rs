//! Windows of TCP connections that the cable keeps small.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::segment::Segment;

/// The connections whose window is kept small, of the side that began them, and what was seen of them.
#[derive(Default)]
pub(crate) struct Windows {
    /// Bytes that a window has at most.
    most: AtomicU16,
    /// By the port of the side that began it, and the other's.
    connections: Mutex<HashMap<(u16, u16), Connection>>,
    /// To these sides: segments with data, bytes of the largest, and the most that one packet of theirs acknowledged.
    pub(crate) segments: AtomicU64,
    pub(crate) largest_segment: AtomicU64,
    pub(crate) largest_step: AtomicU64,
}

struct Connection {
    /// Of the windows that this side grants, as it believes.
    shift: u8,
    acknowledged: Option<u32>,
}

impl Windows {
    /// From now on, of all these connections.
    pub(crate) fn limit(&self, most: u16) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Changes a frame that is to be passed on. A connection that it begins becomes one of these, or none any more.
    pub(crate) fn pass(&self, frame: &mut [u8], begins_narrow: bool) {
        let Some(mut segment) = Segment::of(frame) else { return };
        let (from, to) = segment.ports();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if segment.begins() {
            connections.remove(&(from, to));
            if begins_narrow {
                let shift = segment.unscale();
                connections.insert((from, to), Connection { shift, acknowledged: None });
            }
        } else if let Some(connection) = connections.get_mut(&(from, to)) {
            segment.narrow(connection.shift, self.most.load(Ordering::Relaxed));
            if let Some(number) = segment.acknowledged() {
                let step = number.wrapping_sub(connection.acknowledged.unwrap_or(number));
                // A packet that was overtaken steps back.
                if step <= u32::MAX / 2 {
                    connection.acknowledged = Some(number);
                    self.largest_step.fetch_max(u64::from(step), Ordering::Relaxed);
                }
            }
        } else if connections.contains_key(&(to, from)) && segment.payload_bytes() > 0 {
            self.segments.fetch_add(1, Ordering::Relaxed);
            self.largest_segment.fetch_max(segment.payload_bytes() as u64, Ordering::Relaxed);
        }
    }
}
