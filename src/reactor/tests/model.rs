//! What other threads leave for a reactor, and what it waits for, in every order of the threads: see `bridge::model`.

use std::sync::Arc;

use loom::thread;

use super::super::adoption::Arrival;
use super::super::intake::Intake;
use super::super::{Hooks, Pass, Shared};
use crate::bridge::model::{JavaScript, Sleeper, explore};
use crate::bridge::{Budget, Census, ConnectionId, EventKind};
use crate::limits;
use crate::protocol::{MessageKind, Payload};

/// A reactor's shared side, with the sleep of its thread and a JavaScript thread.
struct Model {
    shared: Arc<Shared>,
    sleeper: Arc<Sleeper>,
    js: Arc<JavaScript>,
}

impl Model {
    fn new() -> Self {
        let (js, sleeper) = (JavaScript::asleep(), Arc::new(Sleeper::default()));
        let (rung, woken) = (js.clone(), sleeper.clone());
        let hooks =
            Hooks { ring_javascript: Box::new(move || rung.ring()), give_back_memory: || {}, budget: Budget::new(0) };
        let shared = Shared::new(Census::new(|| {}), Box::new(move || woken.wake()), hooks);
        Self { shared: Arc::new(shared), sleeper, js }
    }

    /// The loop of a reactor's thread; `round` says when it has seen enough. Whether it was ended by that.
    fn run(&self, mut round: impl FnMut() -> bool) -> bool {
        loop {
            if self.shared.crossing.sleep() {
                self.sleeper.sleep();
            }
            self.shared.crossing.answer();
            if self.shared.is_stopping() {
                return false;
            }
            if round() {
                return true;
            }
        }
    }
}

/// Something that can be told apart.
fn arrival(number: u32) -> Arrival {
    let pass = Pass::default();
    pass.fill(ConnectionId { index: number, generation: 0 });
    Arrival::Departure(pass)
}

fn number(arrival: &Arrival) -> u32 {
    match arrival {
        Arrival::Departure(pass) => pass.connection().map_or(0, |connection| connection.index),
        _ => 0,
    }
}

#[test]
fn arrivals_come_all_and_each_sender_s_in_order() {
    explore(3, || {
        let model = Model::new();
        let senders = [vec![1, 2], vec![10]].map(|numbers| {
            let shared = model.shared.clone();
            thread::spawn(move || numbers.into_iter().for_each(|number| shared.arrive([arrival(number)])))
        });
        let mut come = Vec::new();
        assert!(model.run(|| {
            come.extend(model.shared.arrivals().iter().map(number));
            come.len() == 3
        }));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(model.shared.waiting_arrivals(), 0);
        come.retain(|number| *number != 10);
        assert_eq!(come, [1, 2]);
    });
}

#[test]
fn a_stop_ends_the_loop_whatever_arrives() {
    explore(3, || {
        let model = Model::new();
        let gate = thread::spawn({
            let shared = model.shared.clone();
            move || shared.arrive([arrival(1)])
        });
        let javascript = thread::spawn({
            let shared = model.shared.clone();
            move || shared.stop()
        });
        let mut come = 0;
        assert!(!model.run(|| {
            come += model.shared.arrivals().len();
            false
        }));
        gate.join().unwrap();
        javascript.join().unwrap();
        // What the loop has not taken is dropped with the letter box, and counted out by that.
        assert_eq!(come + model.shared.waiting_arrivals(), 1);
    });
}

#[test]
fn a_full_intake_hears_of_room() {
    explore(2, || {
        let model = Model::new();
        let javascript = thread::spawn({
            let (shared, js) = (model.shared.clone(), model.js.clone());
            move || {
                let mut events = 0;
                js.run(|| {
                    loop {
                        let drained =
                            shared.crossing.mailbox.drain(&mut [0; 4], &mut [0; 8], 0, &mut Default::default());
                        events += drained.events;
                        if drained.made_room {
                            shared.ring();
                        }
                        if !drained.more {
                            return events == 2;
                        }
                    }
                });
            }
        });
        let connection = ConnectionId { index: 1, generation: 0 };
        let mut intake = Intake::new(model.shared.clone());
        intake.message(connection, MessageKind::Binary, Payload::Owned(vec![0; limits::INTAKE_BYTES]));
        intake.post();
        intake.look_again();
        if intake.is_full() {
            model.run(|| {
                intake.look_again();
                !intake.is_full()
            });
        }
        // It is read again: this would not be told otherwise.
        intake.tell(connection, EventKind::Ping, 0, [b"", b""]);
        intake.post();
        javascript.join().unwrap();
        assert_eq!(model.shared.tally().events, 2);
    });
}
