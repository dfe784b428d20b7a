//! Secrets of channels that were opened, and what their lanes are known by.
//!
//! Guarantee: what is given is of the channel as it is defined now. Nothing is opened twice for one edit of a channel while it is held; at most
//! [`HELD`] channels are.

use std::{collections::HashMap, sync::Arc};

use schemas::records::AlertOutbox;
use serde_json::Value;

use super::{
    directory::ChannelNow,
    lanes::Credential,
    message::{Digests, Maker},
};

/// Channels whose secrets are held.
const HELD: usize = 1_000;

/// A channel's secrets, and its lane.
#[derive(Clone)]
pub struct Opened {
    /// The secrets.
    pub secrets: Arc<Value>,
    /// The lane.
    pub credential: Credential,
}

/// See the module.
#[derive(Default)]
pub struct OpenedAll {
    /// By tenant and channel: for which edit of it, and the sealed text of that.
    all: HashMap<(String, String), (u64, Option<String>, Opened)>,
}

impl OpenedAll {
    /// Of a message's channel.
    ///
    /// # Errors
    /// Its secrets cannot be opened.
    pub fn of(
        &mut self,
        message: &AlertOutbox,
        channel: &ChannelNow,
        maker: &Maker<'_>,
        digests: &Digests,
    ) -> Result<Opened, String> {
        let of = (message.tenant.clone(), message.channel_id.clone());
        if let Some((version, sealed, opened)) = self.all.get(&of)
            && (*version, sealed) == (channel.version, &channel.sealed)
        {
            return Ok(opened.clone());
        }
        let secrets = maker.secrets(message, channel)?;
        let credential = digests.of(&message.tenant, channel, &secrets);
        let opened = Opened { secrets: Arc::new(secrets), credential };
        // They are opened again soon enough.
        if self.all.len() >= HELD {
            self.all.clear();
        }
        self.all.insert(of, (channel.version, channel.sealed.clone(), opened.clone()));
        Ok(opened)
    }

    /// The channel is no more.
    pub fn forget(&mut self, message: &AlertOutbox) {
        self.all.remove(&(message.tenant.clone(), message.channel_id.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use conditions::Channel;
    use schemas::TimeMs;
    use serde_json::json;

    use super::*;
    use crate::deliver::{channels::Services, directory::Directory, words::Template};

    /// Counts what is opened; the secret is what is sealed.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Directory for Counting {
        fn others(&self, _: &str, _: &str) -> Vec<String> {
            Vec::new()
        }

        fn channel(&self, _: &str, _: &str) -> Option<ChannelNow> {
            None
        }
        fn template(&self, _: &str, _: &Value) -> Option<Template> {
            None
        }
        fn open(&self, _: &str, _: &str, sealed: &str) -> Result<Value, String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if sealed == "broken" { Err("it cannot be opened".to_owned()) } else { Ok(json!({"secret": sealed})) }
        }
        fn acknowledge(&self, _: &str, _: &str, _: &str, _: TimeMs) -> Option<String> {
            None
        }
    }

    fn message(channel_id: &str) -> AlertOutbox {
        AlertOutbox {
            id: "m".to_owned(),
            body: "{}".to_owned(),
            ..AlertOutbox::new("t", channel_id, "channel.test", TimeMs(0))
        }
    }

    fn channel(version: u64, sealed: &str) -> ChannelNow {
        let definition = json!({"name": "w", "type": "webhook", "config": {"url": "https://example.com/",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}});
        let read = Channel::with_secrets(&definition, None, TimeMs(0), [7; 32]).expect("a channel");
        ChannelNow { channel: Arc::new(read.channel), version, sealed: Some(sealed.to_owned()), disabled: None }
    }

    #[test]
    fn secrets_are_opened_once_for_an_edit() {
        let (counting, services) = (Counting::default(), Services::default());
        let maker = Maker { directory: &counting, public_url: "https://hw.example", services: &services };
        let (digests, mut all) = (Digests::new().expect("random numbers"), OpenedAll::default());
        let mut open = |id: &str, version: u64, sealed: &str| {
            let opened = all.of(&message(id), &channel(version, sealed), &maker, &digests);
            opened.map(|opened| (opened.secrets["secret"].clone(), opened.credential))
        };
        let (secret, credential) = open("c", 1, "one").expect("it opens");
        for _ in 0..1_000 {
            assert_eq!(open("c", 1, "one"), Ok((secret.clone(), credential.clone())));
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
        // An edit counts, whatever it changes; another channel with the same secrets shares the lane.
        assert_eq!(open("c", 2, "one"), Ok((json!("one"), credential.clone())));
        assert_ne!(open("c", 3, "two"), Ok((json!("two"), credential.clone())));
        assert_eq!(open("d", 1, "one"), Ok((json!("one"), credential.clone())));
        assert_eq!(counting.0.load(Ordering::Relaxed), 4);
        // A failure is not held.
        assert!(open("c", 4, "broken").is_err() && open("c", 4, "broken").is_err());
        assert_eq!(counting.0.load(Ordering::Relaxed), 6);
        for n in 0..2 * HELD {
            assert!(open(&format!("e{n}"), 1, "one").is_ok());
        }
        assert!(all.all.len() <= HELD);
    }
}
