//! Anything, in any order: what must hold whatever peers, network, time and JavaScript do.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::prelude::*;
use proptest::sample::Index;

use super::client::{Client, TLS12, TLS13, connecting, shake};
use super::frames::{BINARY, CONTINUATION, PING, PONG, TEXT, close, fragment, frame};
use super::*;
use crate::limits;
use crate::protocol::{MessageKind, Payload};

#[derive(Clone, Debug)]
enum Step {
    Open { strict: bool, speaks: Speaks },
    Says(Index, Vec<u8>, Option<Index>),
    UpdatesKeys(Index),
    ClosesSession(Index),
    Garbage(Index, Vec<u8>),
    Ends(Index),
    Resets(Index),
    WriteError(Index),
    Room(Index, usize),
    Interrupts(Index, usize),
    Send(Index, usize),
    SendLarge(Index, usize),
    End(Index),
    Terminate(Index),
    Watch(Index),
    Run,
    Drain,
    FillIntake,
    Ticks(u32),
}

/// What a connection is spoken over.
#[derive(Clone, Copy, Debug)]
enum Speaks {
    Plain,
    Tls12,
    Tls13,
}

/// The peer of a connection.
struct Party {
    peer: Peer,
    client: Option<Client>,
    /// Whether it has said close_notify.
    is_done: bool,
    /// Records, or parts of them, that are to come with the next ones.
    held: Vec<u8>,
}

impl Party {
    /// Says bytes; of their records a part may come later.
    fn says(&mut self, bytes: &[u8], cut: Option<&Index>) {
        let Some(client) = &mut self.client else { return self.peer.says(bytes) };
        if !self.is_done {
            self.held.extend(client.sealed(bytes));
            let now = cut.map_or(self.held.len(), |cut| cut.index(self.held.len() + 1));
            let rest = self.held.split_off(now);
            self.peer.says(&self.held);
            self.held = rest;
        }
    }

    /// The next records have new keys, and ask for new ones.
    fn updates_keys(&mut self) {
        if let Some(client) = self.client.as_mut().filter(|_| !self.is_done) {
            // TLS 1.2 has no such thing.
            let _ = client.connection.refresh_traffic_keys();
        }
    }

    fn closes_session(&mut self) {
        if let Some(client) = self.client.as_mut().filter(|_| !self.is_done) {
            self.held.extend(client.sealed_end());
            self.is_done = true;
            self.peer.says(&std::mem::take(&mut self.held));
        }
    }
}

fn said_by_a_client() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..400usize).prop_map(|length| frame(TEXT, &vec![b'x'; length])),
        2 => (0..9000usize).prop_map(|length| frame(BINARY, &vec![1; length])),
        1 => Just(frame(BINARY, &vec![1; 70_000])),
        2 => (0..126usize).prop_map(|length| frame(PING, &vec![2; length])),
        1 => Just(frame(PING, &[2; 125]).repeat(600)),
        1 => Just(frame(PONG, b"")),
        2 => (any::<bool>(), 0..50usize).prop_map(|(first, length)| {
            fragment(if first { TEXT } else { CONTINUATION }, !first, &vec![b'f'; length])
        }),
        1 => Just(close(1000, "bye")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<Index>;
    prop_oneof![
        3 => (any::<bool>(), prop_oneof![2 => Just(Speaks::Plain), 1 => Just(Speaks::Tls12), 1 => Just(Speaks::Tls13)])
            .prop_map(|(strict, speaks)| Step::Open { strict, speaks }),
        10 => (who(), said_by_a_client(), any::<Index>(), any::<bool>(), any::<Option<Index>>()).prop_map(|(who, mut bytes, cut, whole, later)| {
            if !whole {
                bytes.truncate(cut.index(bytes.len()) + 1);
            }
            Step::Says(who, bytes, later)
        }),
        1 => who().prop_map(Step::UpdatesKeys),
        1 => who().prop_map(Step::ClosesSession),
        1 => (who(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(who, bytes)| Step::Garbage(who, bytes)),
        1 => who().prop_map(Step::Ends),
        1 => who().prop_map(Step::Resets),
        1 => who().prop_map(Step::WriteError),
        4 => (who(), prop_oneof![Just(0), 1..3000usize, Just(usize::MAX)]).prop_map(|(who, room)| Step::Room(who, room)),
        1 => (who(), 1..4usize).prop_map(|(who, calls)| Step::Interrupts(who, calls)),
        8 => (who(), prop_oneof![0..200usize, 0..5000usize]).prop_map(|(who, length)| Step::Send(who, length)),
        1 => (who(), 60_000..200_000usize).prop_map(|(who, length)| Step::SendLarge(who, length)),
        1 => who().prop_map(Step::End),
        1 => who().prop_map(Step::Terminate),
        1 => who().prop_map(Step::Watch),
        12 => Just(Step::Run),
        6 => Just(Step::Drain),
        1 => Just(Step::FillIntake),
        4 => (1..4u32).prop_map(Step::Ticks),
    ]
}

/// JavaScript's and the peers' side of the story.
struct World<const SHORT_READ_DRAINS: bool> {
    rig: Rig<SHORT_READ_DRAINS>,
    parties: Vec<Party>,
    /// Opened, and neither told of a close nor closed by JavaScript itself.
    alive: BTreeMap<ConnectionId, ()>,
    opens: usize,
    strict: Arc<Route>,
    lenient: Arc<Route>,
}

impl<const SHORT_READ_DRAINS: bool> World<SHORT_READ_DRAINS> {
    fn new() -> Self {
        let strict = routed(|route| {
            route.idle_timeout_seconds = 8;
            route.max_backpressure_bytes = 3000;
            route.close_on_backpressure_limit = true;
            (route.wants_ping, route.wants_pong, route.wants_dropped) = (true, true, true);
        });
        let lenient = routed(|route| {
            route.id = crate::bridge::RouteId(1);
            route.idle_timeout_seconds = 120;
            route.max_payload_bytes = 1 << 20;
            route.max_backpressure_bytes = 0;
            route.max_lifetime_minutes = 1;
        });
        Self { rig: Rig::of_host(), parties: Vec::new(), alive: BTreeMap::new(), opens: 0, strict, lenient }
    }

    fn party(&mut self, who: &Index) -> Option<&mut Party> {
        (!self.parties.is_empty()).then(|| who.get_mut(&mut self.parties))
    }

    fn peer(&self, who: &Index) -> Option<&Peer> {
        (!self.parties.is_empty()).then(|| &who.get(&self.parties).peer)
    }

    fn connection(&self, who: &Index) -> Option<ConnectionId> {
        (!self.alive.is_empty()).then(|| *self.alive.keys().nth(who.index(self.alive.len())).unwrap())
    }

    fn take(&mut self, step: &Step) {
        let js = |kind, world: &mut Self, who: &Index, payload: &[u8]| {
            let connection = world.connection(who)?;
            world.rig.js.command(kind, connection, payload);
            Some(connection)
        };
        match step {
            Step::Open { strict, speaks } => self.open(*strict, *speaks),
            Step::Says(who, bytes, later) => {
                self.party(who).into_iter().for_each(|party| party.says(bytes, later.as_ref()));
            }
            Step::UpdatesKeys(who) => self.party(who).into_iter().for_each(Party::updates_keys),
            Step::ClosesSession(who) => self.party(who).into_iter().for_each(Party::closes_session),
            Step::Garbage(who, bytes) => {
                self.peer(who).into_iter().for_each(|peer| peer.says(bytes));
            }
            Step::Ends(who) => self.peer(who).into_iter().for_each(Peer::ends),
            Step::Resets(who) => self.peer(who).into_iter().for_each(Peer::resets),
            Step::WriteError(who) => {
                self.peer(who).into_iter().for_each(|peer| peer.write_error(ErrorKind::BrokenPipe));
            }
            Step::Room(who, room) => self.peer(who).into_iter().for_each(|peer| peer.room(*room)),
            Step::Interrupts(who, calls) => self.peer(who).into_iter().for_each(|peer| peer.interrupts(*calls)),
            Step::Send(who, length) => {
                if let Some(connection) = self.connection(who) {
                    self.rig.js.send(connection, BINARY, &vec![3; *length]);
                }
            }
            Step::SendLarge(who, length) => {
                if let Some(connection) = self.connection(who) {
                    self.rig.js.send_large(connection, BINARY, vec![4; *length]);
                }
            }
            Step::End(who) => {
                let ended = js(CommandKind::End, self, who, &[0xe8, 0x03, b'!']);
                self.release(ended);
            }
            Step::Terminate(who) => {
                let ended = js(CommandKind::Terminate, self, who, b"");
                self.release(ended);
            }
            Step::Watch(who) => drop(js(CommandKind::WatchDrain, self, who, b"")),
            Step::Run => self.rig.obey(),
            Step::Drain => self.drain(),
            Step::FillIntake => {
                let nobody = ConnectionId { index: 0, generation: 0 };
                // It is counted by its capacity, and none of it is touched.
                let mut ballast = Vec::with_capacity(limits::INTAKE_BYTES);
                ballast.resize(limits::LARGE_MESSAGE_BYTES + 1, 0);
                self.rig.reactor.intake.message(nobody, MessageKind::Binary, Payload::Owned(ballast));
                self.rig.reactor.intake.post();
            }
            Step::Ticks(count) => self.rig.ticks(*count),
        }
    }

    fn open(&mut self, strict: bool, speaks: Speaks) {
        let route = if strict { self.strict.clone() } else { self.lenient.clone() };
        let version = match speaks {
            Speaks::Plain => None,
            Speaks::Tls12 => Some(&TLS12),
            Speaks::Tls13 => Some(&TLS13),
        };
        let early = frame(TEXT, b"early");
        let (peer, client) = match version {
            None => (self.rig.adopt(&route, &early), None),
            Some(version) => {
                let (session, client) = shake(connecting(version, |_| {}));
                let client = self.rig.adopt_session(&route, session, client, &early);
                (client.peer.clone(), Some(client))
            }
        };
        self.parties.push(Party { peer, client, is_done: false, held: Vec::new() });
    }

    fn release(&mut self, connection: Option<ConnectionId>) {
        if let Some(connection) = connection {
            self.alive.remove(&connection);
            self.rig.js.command(CommandKind::Release, connection, b"");
        }
    }

    fn drain(&mut self) {
        for event in self.rig.js.drain() {
            match event.kind {
                EventKind::Open => {
                    self.opens += 1;
                    assert_eq!(self.alive.insert(event.connection, ()), None, "one Open each");
                }
                EventKind::Close if self.alive.contains_key(&event.connection) => self.release(Some(event.connection)),
                _ => {}
            }
        }
        self.rig.obey();
    }

    /// What holds whenever the reactor rests.
    fn check(&mut self) {
        let reactor = &mut self.rig.reactor;
        assert_eq!(reactor.gather.bytes(), 0);
        let is_calm = !reactor.intake.is_full() && !reactor.intake.is_ahead();
        let (mut parked, mut outbox, mut open) = (0, 0, 0);
        for index in 0..reactor.slab.places() {
            let listed = |list: &[ConnectionId]| list.iter().filter(|one| one.index == index).count();
            let (in_unread, in_parked) = (listed(&reactor.unread), listed(&reactor.parked));
            let in_greedy = reactor.pace.greedy.iter().filter(|one| one.index == index).count();
            let end_waits = reactor.slab.connection(index).is_some_and(|connection| reactor.exits.holds(connection));
            let (slot, session) = reactor.slab.slot_and_session(index);
            assert!(slot.socket.is_some() || session.is_none(), "a session is freed with its socket");
            let has_ended = session.is_some_and(|session| session.is_finished() || session.fault().is_some());
            let waits = slot.unread != Unread::None && slot.rare.as_ref().is_some_and(|rare| !rare.leftover.is_empty());
            assert!(slot.phase != Phase::Open || !has_ended || waits, "the end of a session waits for what is parked");
            assert_eq!(slot.socket.is_some(), !matches!(slot.phase, Phase::Vacant | Phase::Gone));
            let listed = match slot.unread {
                Unread::None => true,
                Unread::Some => in_unread > 0,
                Unread::Much => in_greedy > 0,
            };
            assert!(listed, "an unread connection is remembered");
            assert!(slot.phase == Phase::Open || slot.assembly.is_none());
            let has_unread = slot.socket.as_ref().is_some_and(|socket| socket.has_unread());
            // An end may wait for JavaScript, and what was said before it.
            let is_read = slot.phase != Phase::Open || end_waits || !has_unread;
            assert!(!is_calm || is_read, "what has come is read where there is room");
            open += u64::from(slot.phase == Phase::Open);
            outbox += slot.waiting_bytes();
            let Some(rare) = &slot.rare else { continue };
            parked += rare.leftover.len();
            assert!(rare.leftover.is_empty() || in_parked > 0, "a parked connection is remembered");
            let used =
                !rare.outbox.is_empty() || !rare.leftover.is_empty() || rare.pong.is_some() || rare.farewell.is_some();
            assert!(used, "rare parts of a connection that is {:?} are in use", slot.phase);
            assert!(rare.pong.is_none() || !rare.outbox.is_empty(), "a pong waits behind something");
        }
        assert_eq!(reactor.parked_bytes, parked);
        let tally = self.rig.shared.tally();
        assert_eq!((tally.connections(), tally.opened), (open, self.parties.len() as u64));
        assert_eq!((tally.outbox_bytes, tally.parked_bytes), (outbox as u64, parked as u64));
    }

    /// JavaScript and the peers close what is left, and nothing remains.
    fn finish(mut self) {
        self.drain();
        self.drain();
        assert_eq!(self.opens, self.parties.len());
        while let Some((&connection, ())) = self.alive.first_key_value() {
            self.rig.js.command(CommandKind::Terminate, connection, b"");
            self.release(Some(connection));
        }
        self.rig.obey();
        self.parties.iter().for_each(|party| party.peer.ends());
        self.rig.ticks(crate::reactor::sweep::CLOSING_TICKS + 1);
        self.drain();
        assert!(self.parties.iter().all(|party| party.peer.is_closed()));
        for client in self.parties.iter_mut().filter_map(|party| party.client.as_mut()) {
            // What has come opens, whatever was cut off behind it.
            let outcome = client.opens();
            assert!(matches!(outcome, Ok(_) | Err(rustls::Error::AlertReceived(_))), "{outcome:?}");
        }
        self.rig.assert_vacant();
    }
}

fn live<const SHORT_READ_DRAINS: bool>(steps: &[Step]) {
    let mut world = World::<SHORT_READ_DRAINS>::new();
    for step in steps {
        world.take(step);
        if matches!(step, Step::Run | Step::Drain | Step::Ticks(_)) {
            world.check();
        }
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_left_behind(steps in prop::collection::vec(step(), 1..120)) {
        live::<true>(&steps);
        live::<false>(&steps);
    }
}
