//! Commands on their way out: none is lost or changes its place, and a push into a full inbox ends.

use std::sync::Arc;

use loom::thread;

use super::{Lane, explore};
use crate::bridge::{Inbox, Orders};
use crate::limits;

/// More than may wait before the next push has to.
fn backlog() -> Option<Vec<u8>> {
    Some(vec![0; limits::COMMAND_BACKLOG_BYTES + 1])
}

/// JavaScript's part: each command in a push of its own, the first with `large` beside it.
fn push_all(lane: &Lane, commands: &[u8], mut large: Option<Vec<u8>>) {
    for command in commands {
        lane.crossing.inbox.push(&[*command], large.take());
        lane.crossing.ring();
    }
}

/// The reactor's part: takes until so many commands came, and gives memory back in between. Checks that flushes
/// are counted without a gap.
fn take_all(lane: &Lane, expected: usize) -> Vec<u8> {
    let mut commands = Vec::new();
    let mut orders = Orders::default();
    lane.run_engine(|| {
        if lane.crossing.inbox.take(&mut orders) {
            commands.extend_from_slice(&orders.commands);
            assert_eq!(orders.flush as usize, commands.len());
            orders.recycle();
        }
        lane.crossing.inbox.let_go();
        commands.len() == expected
    });
    commands
}

#[test]
fn commands_come_all_and_in_order() {
    explore(3, || {
        let lane = Lane::new();
        let javascript = thread::spawn({
            let lane = lane.clone();
            move || push_all(&lane, &[1, 2, 3], None)
        });
        assert_eq!(take_all(&lane, 3), [1, 2, 3]);
        javascript.join().unwrap();
    });
}

#[test]
fn a_push_into_a_full_inbox_waits_for_a_taking_and_ends() {
    explore(3, || {
        let lane = Lane::new();
        let javascript = thread::spawn({
            let lane = lane.clone();
            move || push_all(&lane, &[1, 2, 3], backlog())
        });
        assert_eq!(take_all(&lane, 3), [1, 2, 3]);
        javascript.join().unwrap();
    });
}

/// The reactor's thread may end at any time, by a panic too, whoever waits for room then.
#[test]
fn the_end_of_the_reactor_ends_every_wait() {
    explore(3, || {
        let inbox = Arc::new(Inbox::default());
        inbox.push(&[1], backlog());
        let pushers = [2, 3].map(|command| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.push(&[command], None))
        });
        inbox.close();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(inbox.waiting_bytes(), 0);
        assert!(!inbox.take(&mut Orders::default()));
    });
}

/// A taking makes room for all who wait, and the end that follows finds nobody waiting for it in vain.
#[test]
fn a_taking_and_the_end_behind_it_end_every_wait() {
    explore(3, || {
        let inbox = Arc::new(Inbox::default());
        inbox.push(&[1], backlog());
        let pushers = [2, 3].map(|command| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.push(&[command], backlog()))
        });
        let mut orders = Orders::default();
        assert!(inbox.take(&mut orders));
        assert_eq!(orders.commands, [1]);
        inbox.close();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(inbox.waiting_bytes(), 0);
    });
}
