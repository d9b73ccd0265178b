//! The subscriptions of one reactor, as a chain for each topic.
//!
//! Each subscription has a number that JavaScript gave it, and lies at that place: so it is found again
//! without a search, and taken out of its chain in constant time, whatever the topic's size. Memory: 20
//! bytes for a subscription of a connection, 4 for a topic; pages stay until no subscription is left.

use super::pages::Pages;
use crate::limits;

/// The end of a chain, and the topic of a place that is vacant.
const NONE: u32 = u32::MAX;

/// A topic, by the number that JavaScript gave its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicId(pub u32);

/// A subscription, by the number that JavaScript gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionId(pub u32);

/// Subscriptions by topic; no memory while there is none. `S` names a subscriber.
pub struct Index<S> {
    subscriptions: Pages<Subscription<S>>,
    /// Of each topic the first of its chain.
    firsts: Pages<u32>,
    present: usize,
}

struct Subscription<S> {
    subscriber: S,
    topic: u32,
    next: u32,
    previous: u32,
}

impl<S> Default for Index<S> {
    fn default() -> Self {
        Self { subscriptions: Pages::default(), firsts: Pages::default(), present: 0 }
    }
}

impl<S: Copy> Index<S> {
    /// Memory of subscriptions and topics, with the places that are vacant.
    pub fn bytes(&self) -> usize {
        self.subscriptions.bytes() + self.firsts.bytes()
    }

    /// Adds a subscription. Its number is one that was given back, or the next new one; with any other,
    /// and above [`limits::TOPICS`], nothing happens: such numbers did not come from `lib/`.
    pub fn subscribe(&mut self, id: SubscriptionId, topic: TopicId, subscriber: S) {
        let vacant = self.subscriptions.get(id.0).is_none_or(|subscription| subscription.topic == NONE);
        if !vacant || id.0 as usize > self.subscriptions.len() || topic.0 as usize >= limits::TOPICS {
            return;
        }
        while self.firsts.len() <= topic.0 as usize {
            self.firsts.push(NONE);
        }
        let Some(first) = self.firsts.get_mut(topic.0) else { return };
        let subscription = Subscription { subscriber, topic: topic.0, next: *first, previous: NONE };
        let next = std::mem::replace(first, id.0);
        if let Some(next) = self.subscriptions.get_mut(next) {
            next.previous = id.0;
        }
        match self.subscriptions.get_mut(id.0) {
            Some(place) => *place = subscription,
            None => self.subscriptions.push(subscription),
        }
        self.present += 1;
    }

    /// Takes a subscription out. Behind the last one, numbers begin anew.
    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(id.0) else { return };
        let topic = std::mem::replace(&mut subscription.topic, NONE);
        if topic == NONE {
            return;
        }
        let (next, previous) = (subscription.next, subscription.previous);
        if let Some(next) = self.subscriptions.get_mut(next) {
            next.previous = previous;
        }
        match self.subscriptions.get_mut(previous) {
            Some(previous) => previous.next = next,
            None => _ = self.firsts.get_mut(topic).map(|first| *first = next),
        }
        self.present -= 1;
        if self.present == 0 {
            self.subscriptions.clear();
            self.firsts.clear();
        }
    }

    /// The first subscription of a topic, from which [`step`](Self::step) leads to all of them.
    pub fn first(&self, topic: TopicId) -> Option<SubscriptionId> {
        self.firsts.get(topic.0).filter(|first| **first != NONE).map(|first| SubscriptionId(*first))
    }

    /// The subscriber of a subscription, and the next one of its topic.
    pub fn step(&self, id: SubscriptionId) -> Option<(S, Option<SubscriptionId>)> {
        let subscription = self.subscriptions.get(id.0)?;
        let next = (subscription.next != NONE).then_some(SubscriptionId(subscription.next));
        Some((subscription.subscriber, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Miri runs each step some hundred times slower.
    const STEPS: usize = if cfg!(miri) { 60 } else { 500 };

    fn subscribers(index: &Index<u32>, topic: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = index.first(TopicId(topic));
        while let Some((subscriber, following)) = next.and_then(|id| index.step(id)) {
            found.push(subscriber);
            next = following;
        }
        found
    }

    /// The numbers as JavaScript gives them: the latest that was given back, or the next new one.
    #[derive(Default)]
    struct Numbers {
        free: Vec<u32>,
        next: u32,
    }

    impl Numbers {
        fn take(&mut self) -> u32 {
            self.free.pop().unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            })
        }
    }

    proptest! {
        /// Against the simplest model: a map from topics to sets of subscribers.
        #[test]
        fn behaves_like_a_map_of_sets(steps in prop::collection::vec((0..4u32, 0..6u32), 1..STEPS)) {
            let mut index = Index::default();
            let mut numbers = Numbers::default();
            let mut model: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
            let mut held: BTreeMap<(u32, u32), u32> = BTreeMap::new();
            for (topic, subscriber) in steps {
                if let Some(number) = held.remove(&(topic, subscriber)) {
                    index.unsubscribe(SubscriptionId(number));
                    numbers.free.push(number);
                    if held.is_empty() {
                        numbers = Numbers::default();
                    }
                    model.entry(topic).or_default().remove(&subscriber);
                } else {
                    let number = numbers.take();
                    index.subscribe(SubscriptionId(number), TopicId(topic), subscriber);
                    held.insert((topic, subscriber), number);
                    model.entry(topic).or_default().insert(subscriber);
                }
                prop_assert_eq!(index.present, held.len());
                for (topic, expected) in &model {
                    let mut found = subscribers(&index, *topic);
                    found.sort_unstable();
                    prop_assert_eq!(&found, &expected.iter().copied().collect::<Vec<_>>());
                }
            }
        }

        /// Whatever numbers come, chains end and count what they hold.
        #[test]
        fn any_numbers_are_taken(steps in prop::collection::vec((any::<bool>(), 0..12u32, 0..4u32), 1..STEPS / 2)) {
            let mut index = Index::default();
            for (add, id, topic) in steps {
                match add {
                    true => index.subscribe(SubscriptionId(id), TopicId(topic), id),
                    false => index.unsubscribe(SubscriptionId(id)),
                }
                let found: usize = (0..4).map(|topic| subscribers(&index, topic).len()).sum();
                prop_assert_eq!(found, index.present);
            }
            index.subscribe(SubscriptionId(u32::MAX), TopicId(0), 0);
            index.subscribe(SubscriptionId(0), TopicId(u32::MAX), 0);
            index.unsubscribe(SubscriptionId(u32::MAX));
            prop_assert!(index.first(TopicId(u32::MAX)).is_none() && index.step(SubscriptionId(u32::MAX)).is_none());
        }
    }

    #[test]
    fn a_subscription_of_a_connection_has_20_bytes() {
        // A connection's id has 8.
        assert_eq!(size_of::<Subscription<(u32, u16)>>(), 20);
    }

    #[test]
    fn pages_are_given_back_with_the_last_subscription() {
        let mut index = Index::default();
        let many = 5 * super::super::pages::PAGE_LENGTH as u32;
        for number in 0..many {
            index.subscribe(SubscriptionId(number), TopicId(number), number);
        }
        (0..many).for_each(|number| index.unsubscribe(SubscriptionId(number)));
        assert_eq!((index.present, index.subscriptions.len(), index.firsts.len()), (0, 0, 0));
        index.subscribe(SubscriptionId(0), TopicId(7), 70);
        assert_eq!(subscribers(&index, 7), [70]);
    }
}
