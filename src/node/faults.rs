//! Panics on demand, for scenarios: in a build that has the feature `fault-injection`, and no other.

use napi_derive::napi;

use super::engine::Engine;
use crate::error::FaultPoint;

#[napi]
impl Engine {
    /// The thread of a lane panics when it passes the point with this number next. `false`: there is none.
    #[napi]
    pub fn inject_fault(&self, lane: u32, point: u32) -> bool {
        let running = self.running.borrow();
        let lane = running.as_ref().and_then(|running| running.lanes.get(lane as usize));
        let point = FaultPoint::ALL.into_iter().find(|known| *known as u32 == point);
        let (Some(lane), Some(point)) = (lane, point) else { return false };
        lane.crossing.faults.arm(point);
        true
    }
}
