//! How many connections each address has, and how fast it makes new ones.
//!
//! Asked by the gate for each connection, of an App that bounds these; others have none of it. A [`Guest`] is
//! dropped where its connection ends, on any thread. Memory: an entry for each address that has a connection, and
//! one for each of `limits::ADDRESSES_REMEMBERED` others that had one in the last two minutes. Who comes costs the
//! same however many there are: the tables are hashed by random keys, and old entries go all together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

/// What one address may have. 0: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressBounds {
    /// Connections at a time.
    pub connections: u32,
    /// New connections: so many at once, and then again as many spread over each minute.
    pub per_minute: u32,
}

/// Why an address gets no further connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It has all that it may have.
    Connections,
    /// It makes them too fast.
    Rate {
        /// So long it gets none.
        wait_seconds: u64,
    },
}

/// See the module. One for each App.
pub struct Addresses {
    bounds: AddressBounds,
    began: Instant,
    table: Mutex<Table>,
}

/// A connection that is counted for its address, until this is dropped.
pub struct Guest {
    addresses: Arc<Addresses>,
    key: Key,
}

/// Whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    V4([u8; 4]),
    /// The first 64 bits: a network is given as much as this, and its hosts choose the rest.
    V6([u8; 8]),
}

impl Addresses {
    /// With nobody in it.
    pub fn new(bounds: AddressBounds) -> Arc<Self> {
        Arc::new(Self { bounds, began: Instant::now(), table: Mutex::default() })
    }

    /// Counts a connection of an address, or says why there may be none. `None`: how many it has is not bounded.
    ///
    /// # Errors
    ///
    /// When the address has as many as it may have, or makes them too fast. Such a one is not counted.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Option<Guest>, Excess> {
        let key = Key::of(address);
        let is_counted = self.table().enter(self.bounds, key, self.began.elapsed())?;
        Ok(is_counted.then(|| Guest { addresses: self.clone(), key }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.addresses.table().leave(self.addresses.bounds, self.key);
    }
}

impl Key {
    /// An IPv4 address is the same in IPv6's clothes (RFC 4291 §2.5.5.2).
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// The numbers. Times count from any moment.
#[derive(Default)]
struct Table {
    /// Addresses that have connections.
    present: HashMap<Key, Present>,
    /// Those that have none, by when they may again make as many at once as they may at all. In two parts, of which
    /// the older is thrown away when it is a minute old, or the newer is full.
    recent: HashMap<Key, Duration>,
    former: HashMap<Key, Duration>,
    /// When the newer part was begun.
    since: Duration,
}

struct Present {
    connections: u32,
    rested: Duration,
}

impl Table {
    /// Whether the connection is counted until it leaves.
    fn enter(&mut self, bounds: AddressBounds, key: Key, now: Duration) -> Result<bool, Excess> {
        self.forget(now);
        let present = self.present.get_mut(&key);
        if let Some(present) = &present
            && present.connections >= bounds.connections
        {
            return Err(Excess::Connections);
        }
        let rested = match &present {
            Some(present) => present.rested,
            None => self.recent.get(&key).or_else(|| self.former.get(&key)).copied().unwrap_or_default(),
        };
        let rested = bounds.step(rested, now)?;
        if bounds.connections == 0 {
            self.remember(key, rested);
            return Ok(false);
        }
        match present {
            Some(present) => *present = Present { connections: present.connections + 1, rested },
            None => {
                if self.recent.remove(&key).is_none() {
                    self.former.remove(&key);
                }
                self.present.insert(key, Present { connections: 1, rested });
            }
        }
        Ok(true)
    }

    fn leave(&mut self, bounds: AddressBounds, key: Key) {
        let Some(present) = self.present.get_mut(&key) else { return };
        present.connections -= 1;
        if present.connections > 0 {
            return;
        }
        let rested = present.rested;
        self.present.remove(&key);
        if self.present.is_empty() {
            // One crowd is not paid for for ever.
            self.present = HashMap::new();
        }
        if bounds.per_minute > 0 {
            self.remember(key, rested);
        }
    }

    fn remember(&mut self, key: Key, rested: Duration) {
        if self.recent.len() >= limits::ADDRESSES_REMEMBERED / 2 {
            self.former = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, rested);
    }

    /// Throws away what is old: nobody is held to what was more than a minute ago.
    fn forget(&mut self, now: Duration) {
        let age = now.saturating_sub(self.since);
        if age < MINUTE {
            return;
        }
        self.since = now;
        self.former = std::mem::take(&mut self.recent);
        if age >= 2 * MINUTE {
            self.former = HashMap::new();
        }
    }
}

impl AddressBounds {
    /// Whether anything is bounded.
    pub fn is_any(self) -> bool {
        self.connections > 0 || self.per_minute > 0
    }

    /// When an address has rested from one connection more. It rests from each for a part of a minute, and may owe
    /// the rest of all that it may make at once.
    fn step(self, rested: Duration, now: Duration) -> Result<Duration, Excess> {
        if self.per_minute == 0 {
            return Ok(Duration::ZERO);
        }
        let each = MINUTE / self.per_minute;
        let rested = rested.max(now);
        match (rested - now).checked_sub(each * (self.per_minute - 1)) {
            None | Some(Duration::ZERO) => Ok(rested + each),
            Some(wait) => Err(Excess::Rate { wait_seconds: wait.as_millis().div_ceil(1_000).max(1) as u64 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> Key {
        Key::of(Ipv4Addr::from(number).into())
    }

    fn bounds(connections: u32, per_minute: u32) -> AddressBounds {
        AddressBounds { connections, per_minute }
    }

    impl Table {
        fn size(&self) -> usize {
            self.present.len() + self.recent.len() + self.former.len()
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_ipv4_is_the_same_in_ipv6() {
        let key = |text: &str| Key::of(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.1.2.3"), key("10.1.2.3"));
        assert_ne!(key("10.1.2.3"), key("10.1.2.4"));
    }

    #[test]
    fn an_address_has_so_many_and_others_are_others() {
        let addresses = Addresses::new(bounds(2, 0));
        let [one, other] = [1, 2].map(|number| IpAddr::from(Ipv4Addr::from(number)));
        let first = addresses.enter(one).unwrap();
        let second = addresses.enter(one).unwrap();
        assert!(matches!(addresses.enter(one), Err(Excess::Connections)));
        assert!(addresses.enter(other).is_ok());
        drop(first);
        assert!(addresses.enter(one).is_ok());
        drop(second);
        assert_eq!(addresses.table().size(), 0, "who has none and no rate is forgotten at once");
    }

    #[test]
    fn so_many_come_at_once_and_then_one_by_one() {
        for per_minute in [1, 7, 60, if cfg!(miri) { 600 } else { 1_000_000 }] {
            let (mut table, bounds) = (Table::default(), bounds(0, per_minute));
            let began = Duration::from_secs(1_000);
            for _ in 0..per_minute {
                assert_eq!(table.enter(bounds, key(1), began), Ok(false), "{per_minute}");
            }
            let wait = MINUTE / per_minute;
            let wait_seconds = wait.as_millis().div_ceil(1_000).max(1) as u64;
            assert_eq!(table.enter(bounds, key(1), began), Err(Excess::Rate { wait_seconds }));
            assert_eq!(table.enter(bounds, key(2), began), Ok(false));
            assert!(table.enter(bounds, key(1), began + wait).is_ok());
            assert!(table.enter(bounds, key(1), began + wait).is_err());
        }
    }

    #[test]
    fn a_rate_holds_across_connections_that_have_ended() {
        let (mut table, bounds) = (Table::default(), bounds(5, 3));
        for second in [0, 59, 61] {
            let now = Duration::from_secs(second);
            assert_eq!(table.enter(bounds, key(1), now), Ok(true));
            table.leave(bounds, key(1));
        }
        let late = Duration::from_secs(61);
        assert_eq!(table.enter(bounds, key(1), late), Ok(true));
        assert_eq!(table.enter(bounds, key(1), late), Err(Excess::Rate { wait_seconds: 18 }));
        table.leave(bounds, key(1));
        assert_eq!(table.size(), 1);
        table.forget(Duration::from_secs(200));
        assert_eq!(table.size(), 0);
    }

    #[test]
    fn memory_has_a_bound_whoever_comes() {
        for connections in [0, 1] {
            let (mut table, bounds) = (Table::default(), bounds(connections, 10));
            // Miri has time for fewer, who fill no table.
            let step = if cfg!(miri) { 499 } else { 1 };
            for number in (0..4 * limits::ADDRESSES_REMEMBERED as u32).step_by(step) {
                let now = Duration::from_millis(number.into());
                if table.enter(bounds, key(number), now) == Ok(true) {
                    table.leave(bounds, key(number));
                }
                assert!(table.size() <= limits::ADDRESSES_REMEMBERED);
            }
            // Times go on: the next one that comes throws the old away.
            assert!(table.enter(bounds, key(0), Duration::from_secs(100_000)).is_ok());
            assert_eq!(table.size(), 1);
        }
    }

    proptest! {
        #[test]
        fn no_address_has_more_than_it_may(
            steps in prop::collection::vec((0..3_u32, any::<bool>(), 0..20_000_u64), 0..if cfg!(miri) { 60 } else { 300 }),
            most in 1..4_u32,
            per_minute in 0..20_u32,
        ) {
            let (mut table, bounds) = (Table::default(), bounds(most, per_minute));
            let (mut now, mut has, mut came) = (0, [0; 3], [const { Vec::new() }; 3]);
            for (number, enters, milliseconds) in steps {
                now += milliseconds;
                let place = number as usize;
                if !enters {
                    if has[place] > 0 {
                        has[place] -= 1;
                        table.leave(bounds, key(number));
                    }
                    continue;
                }
                let entered = table.enter(bounds, key(number), Duration::from_millis(now));
                prop_assert_eq!(entered == Err(Excess::Connections), has[place] == most);
                if entered.is_ok() {
                    has[place] += 1;
                    came[place].push(now);
                }
                let in_a_minute = came[place].iter().filter(|&&at| at + 60_000 > now).count();
                prop_assert!(per_minute == 0 || in_a_minute < 2 * per_minute as usize);
                if entered.is_err() && has[place] < most {
                    prop_assert!(in_a_minute >= per_minute as usize);
                }
            }
        }
    }

    #[test]
    fn a_guest_counts_from_any_thread() {
        let addresses = Addresses::new(bounds(1, 0));
        let address = IpAddr::from(Ipv6Addr::LOCALHOST);
        for _ in 0..if cfg!(miri) { 10 } else { 100 } {
            let guest = addresses.enter(address).unwrap();
            std::thread::spawn(move || drop(guest)).join().unwrap();
        }
    }
}
