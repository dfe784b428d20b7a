//! Windows for one connection: the present ones on subscribing, and then each that is published, in that order.

use std::sync::Arc;

use axum::extract::ws::Message;
use tokio::sync::watch;

use super::{subscriptions::Subscriptions, wakes::risen};
use crate::live::{LiveWindow, Windows};

/// How far a connection has come.
#[derive(Default)]
pub struct ComingWindows {
    /// What wakes it; nothing while no windows are wanted.
    changes: Option<watch::Receiver<u64>>,
    /// Number of the next one.
    next: u64,
}

fn frames(windows: &[Arc<LiveWindow>], wanted: impl Fn(&LiveWindow) -> bool) -> Vec<Message> {
    let wanted = windows.iter().filter(|window| wanted(window));
    wanted.map(|window| Message::Text(window.frame.clone())).collect()
}

impl ComingWindows {
    /// The present ones, for a subscription that has just begun.
    pub fn begin(&mut self, windows: &Windows, wanted: impl Fn(&LiveWindow) -> bool) -> Vec<Message> {
        // In this order, so that what comes in between wakes it.
        let changes = self.changes.is_none().then(|| windows.changes());
        let (present, next) = windows.present(wanted);
        if let Some(changes) = changes {
            (self.changes, self.next) = (Some(changes), next);
        }
        frames(&present, |_| true)
    }

    /// Those that came since; where more came than are held, the present ones.
    pub fn new_ones(&mut self, windows: &Windows, subscriptions: &Subscriptions) -> Vec<Message> {
        let wanted = |window: &LiveWindow| subscriptions.wants_window(window);
        let (new, next) = windows.from(self.next);
        self.next = next;
        match new {
            Some(new) => frames(&new, wanted),
            None => {
                crate::metrics::ws_overtaken();
                let (present, next) = windows.present(wanted);
                self.next = next;
                frames(&present, |_| true)
            }
        }
    }

    /// Sleeps again when no subscription wants windows any more.
    pub fn end_without(&mut self, subscriptions: &Subscriptions) {
        if !subscriptions.has_windows() {
            *self = Self::default();
        }
    }

    /// Until a new one came; for ever while none is wanted. Safe to drop and call again.
    pub async fn changed(&mut self) {
        risen(&mut self.changes).await;
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use schemas::{Network, TimeMs};

    use super::*;
    use crate::ws::{
        filter::Filter,
        protocol::{Id, Topics},
    };

    const WINDOWS: Topics =
        Topics { blocks: false, transactions: false, providers: false, windows: true, alerts: false };

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.to_text().expect("text")).collect()
    }

    #[test]
    fn the_present_come_first_and_then_what_is_wanted_of_the_new() {
        let router = Address::repeat_byte(7);
        let (windows, mut coming, mut subscriptions) =
            (Windows::default(), ComingWindows::default(), Subscriptions::new(4));
        windows.publish("a", None, 1, "a1");
        windows.publish("a", Some(router), 1, "router1");
        windows.publish("b", None, 1, "b1");
        subscriptions.add(Id::Number(1), WINDOWS, None, Filter::default(), false).expect("free");
        let present = coming.begin(&windows, |window| subscriptions.wants_window(window));
        assert_eq!(texts(&present), ["a1", "b1"], "contracts come to whoever names them");
        windows.publish("a", Some(router), 2, "router2");
        windows.publish("b", None, 2, "b2");
        assert_eq!(texts(&coming.new_ones(&windows, &subscriptions)), ["b2"]);
        let named = format!("{router:#x}");
        let mut filter = Filter::read(Some(&named), None, None, (None, None)).expect("an address");
        filter.windows_from = Some(TimeMs(0));
        let a: Network = "a".parse().expect("a slug");
        subscriptions.add(Id::Number(2), WINDOWS, Some(a), filter, false).expect("free");
        let of_router = coming.begin(&windows, |window| window.contract == Some(router));
        assert_eq!(texts(&of_router), ["router2"]);
        windows.publish("a", Some(router), 3, "router3");
        windows.publish("a", Some(Address::ZERO), 3, "another");
        windows.publish("a", None, 3, "a3");
        assert_eq!(texts(&coming.new_ones(&windows, &subscriptions)), ["router3", "a3"]);
        subscriptions.remove(&Id::Number(1), None).expect("there");
        windows.publish("a", None, 4, "a4");
        windows.publish("a", Some(router), 4, "router4");
        assert_eq!(texts(&coming.new_ones(&windows, &subscriptions)), ["router4"], "a contract's alone");
        subscriptions.remove(&Id::Number(2), None).expect("there");
        coming.end_without(&subscriptions);
        assert!(coming.changes.is_none());
    }
}
