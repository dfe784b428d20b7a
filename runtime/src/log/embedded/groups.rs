//! The group coordinator: who holds which partition. Pure; no clock and no I/O.
//!
//! Guarantees: every partition of every subscribed topic is held by exactly one member while the group has one; assignment is
//! Kafka's `range`, so that topics with equal partition counts and subscribers are co-partitioned (rule 9); every change of
//! membership raises the generation, and a member of a former generation is fenced.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{Topic, TopicPartition};

/// A member's number, unique in the process.
pub type MemberId = u64;

/// One member as the coordinator knows it.
#[derive(Debug, Clone)]
struct Member {
    instance: String,
    topics: BTreeSet<Topic>,
}

#[derive(Debug, Default)]
struct Group {
    generation: u64,
    members: BTreeMap<MemberId, Member>,
    assignment: HashMap<MemberId, Vec<TopicPartition>>,
}

/// All groups.
#[derive(Debug, Default)]
pub struct Coordinator {
    groups: HashMap<String, Group>,
    last_member: MemberId,
}

/// A member's place in the present generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The generation.
    pub generation: u64,
    /// What the member holds, sorted.
    pub partitions: Vec<TopicPartition>,
}

impl Coordinator {
    /// A new member. A member with the same instance name is replaced: it was this process's former self.
    pub fn join(
        &mut self,
        group: &str,
        instance: &str,
        topics: &[Topic],
        partitions: impl Fn(Topic) -> u32,
    ) -> MemberId {
        self.last_member += 1;
        let id = self.last_member;
        let group = self.groups.entry(group.to_owned()).or_default();
        group.members.retain(|_, m| m.instance != instance);
        group.members.insert(id, Member { instance: instance.to_owned(), topics: topics.iter().copied().collect() });
        group.rebalance(partitions);
        id
    }

    /// A member leaves. Nothing happens when it is none any more.
    pub fn leave(&mut self, group: &str, id: MemberId, partitions: impl Fn(Topic) -> u32) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if group.members.remove(&id).is_some() {
            group.rebalance(partitions);
        }
    }

    /// Where a member stands; `None` when it is fenced.
    pub fn place(&self, group: &str, id: MemberId) -> Option<Place> {
        let group = self.groups.get(group)?;
        group.members.contains_key(&id).then(|| Place {
            generation: group.generation,
            partitions: group.assignment.get(&id).cloned().unwrap_or_default(),
        })
    }

    /// The generation in which the member is, without copying its partitions.
    pub fn generation(&self, group: &str, id: MemberId) -> Option<u64> {
        let group = self.groups.get(group)?;
        group.members.contains_key(&id).then_some(group.generation)
    }

    /// Whether the member holds the partition in this very generation.
    pub fn holds(&self, group: &str, id: MemberId, generation: u64, at: TopicPartition) -> bool {
        self.groups.get(group).is_some_and(|g| {
            g.generation == generation && g.assignment.get(&id).is_some_and(|a| a.binary_search(&at).is_ok())
        })
    }
}

impl Group {
    fn rebalance(&mut self, partitions: impl Fn(Topic) -> u32) {
        self.generation += 1;
        let mut order: Vec<MemberId> = self.members.keys().copied().collect();
        order.sort_by(|a, b| self.members[a].instance.cmp(&self.members[b].instance).then(a.cmp(b)));
        let topics: BTreeSet<Topic> = self.members.values().flat_map(|m| m.topics.iter().copied()).collect();
        self.assignment = order.iter().map(|id| (*id, Vec::new())).collect();
        for topic in topics {
            let takers: Vec<MemberId> =
                order.iter().copied().filter(|id| self.members[id].topics.contains(topic)).collect();
            let count = partitions(topic) as usize;
            let (each, extra) = (count / takers.len(), count % takers.len());
            let mut next = 0;
            for (i, id) in takers.iter().enumerate() {
                let take = each + usize::from(i < extra);
                let share = (next..next + take).map(|p| TopicPartition { topic, partition: p as u32 });
                self.assignment.entry(*id).or_default().extend(share);
                next += take;
            }
        }
        self.assignment.values_mut().for_each(|a| a.sort_unstable());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOPICS: [Topic; 3] = ["a", "b", "c"];

    #[derive(Debug, Clone)]
    enum Step {
        Join { instance: u8, topics: u8 },
        Leave { nth: usize },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(
            prop_oneof![
                3 => (0u8..5, 1u8..8).prop_map(|(instance, topics)| Step::Join { instance, topics }),
                2 => (0usize..8).prop_map(|nth| Step::Leave { nth }),
            ],
            1..30,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_partition_has_one_holder_and_every_change_fences(steps in steps(), counts in prop::array::uniform3(1u32..9)) {
            let count = |t: Topic| counts[TOPICS.iter().position(|x| *x == t).unwrap()];
            let mut coordinator = Coordinator::default();
            let mut live: Vec<(MemberId, u8, Vec<Topic>)> = Vec::new();
            let mut last_generation = 0;
            for step in steps {
                let before: Vec<_> = live.iter().filter_map(|(id, ..)| coordinator.place("g", *id).map(|p| (*id, p))).collect();
                match step {
                    Step::Join { instance, topics } => {
                        let topics: Vec<Topic> = TOPICS.iter().enumerate().filter(|(i, _)| topics >> i & 1 == 1).map(|(_, t)| *t).collect();
                        let id = coordinator.join("g", &format!("i{instance}"), &topics, count);
                        for (former, ..) in live.iter().filter(|(_, i, _)| *i == instance) {
                            prop_assert_eq!(coordinator.place("g", *former), None, "the former self is fenced");
                        }
                        live.retain(|(_, i, _)| *i != instance);
                        live.push((id, instance, topics));
                    }
                    Step::Leave { nth } if !live.is_empty() => {
                        let (id, ..) = live.remove(nth % live.len());
                        coordinator.leave("g", id, count);
                        prop_assert_eq!(coordinator.place("g", id), None);
                    }
                    Step::Leave { .. } => continue,
                }
                let places: Vec<_> = live.iter().map(|(id, _, t)| (*id, t, coordinator.place("g", *id).unwrap())).collect();
                for (_, topics, place) in &places {
                    prop_assert!(place.generation > last_generation);
                    prop_assert!(place.partitions.iter().all(|p| topics.contains(&p.topic)));
                }
                if let Some((.., place)) = places.first() { last_generation = place.generation; }
                for (id, old) in before {
                    for at in old.partitions {
                        prop_assert!(!coordinator.holds("g", id, old.generation, at), "an old generation holds nothing");
                    }
                }
                for topic in TOPICS.iter().filter(|t| live.iter().any(|(.., ts)| ts.contains(t))) {
                    for partition in 0..count(topic) {
                        let at = TopicPartition { topic, partition };
                        prop_assert_eq!(places.iter().filter(|(.., p)| p.partitions.contains(&at)).count(), 1);
                    }
                }
                // Co-partitioning: members that all want the same topics hold the same numbers of topics of equal size.
                if counts[0] == counts[1] && places.iter().all(|(_, t, _)| t.contains(&"a") && t.contains(&"b")) {
                    for (.., place) in &places {
                        let of = |t: Topic| place.partitions.iter().filter(|p| p.topic == t).map(|p| p.partition).collect::<Vec<_>>();
                        prop_assert_eq!(of("a"), of("b"));
                    }
                }
            }
        }
    }
}
