//! Letters to people about their account.
//!
//! Guarantee: whoever asks for one is answered before anybody has looked for an account, so that neither the answer nor its time tells whether
//! there is one. Links lead to `[api] public_url` and hold their secret behind `#`, where no server and no log sees it. What waits is bounded;
//! what is over that is left out, and the log says so; and so is what an address would get too many of, whoever wishes them: nobody is written to
//! over and over by what others do here. A letter that is not sent after some attempts is given up: who wanted it asks again.

mod smtp;

use std::sync::Arc;

use control::{Control, Error, Id};
use futures::{StreamExt, stream};
use quick_cache::sync::Cache;
use runtime::{
    config::{Auth, Rate, Secret},
    targets::{PORTS, Targets},
};
use schemas::limits::people as limits;
use smtp::Server;
use tokio::sync::{Mutex, mpsc};
use url::Url;

use crate::door::{Bucket, ControlStore};

/// Letters that are sent at the same time.
const AT_ONCE: usize = 4;

/// What somebody wants a letter for.
pub enum Wish {
    /// To set a new password, for whoever has an account of this address.
    Reset {
        /// The address, as it was written.
        email: String,
    },
    /// To show that his address is his own.
    Verify {
        /// The person.
        user: Id,
    },
    /// To come into an organisation.
    Invitation {
        /// To whom.
        email: String,
        /// The organisation's name.
        organisation: String,
        /// The invitation: a secret.
        token: Secret,
    },
}

/// A letter, written.
struct Letter {
    to: String,
    subject: String,
    body: String,
}

/// Sends letters.
pub struct Letters {
    server: Server,
    base: Url,
    queue: mpsc::Sender<Wish>,
    /// By kind and address.
    sent: Cache<(&'static str, String), Arc<Bucket>>,
    waiting: Mutex<mpsc::Receiver<Wish>>,
}

impl Letters {
    /// By the server of the configuration; `None`: there is none.
    pub fn of(auth: &Auth, public_url: Option<&Url>) -> Option<Self> {
        let (mail, base) = (auth.mail.clone()?, public_url?.clone());
        let targets = Targets::new(&auth.allow_targets, &PORTS).unwrap_or_default().listed_in("[auth] allow_targets");
        let (queue, waiting) = mpsc::channel(limits::LETTERS);
        let (server, waiting) = (Server::new(mail, targets), Mutex::new(waiting));
        Some(Self { server, base, queue, sent: Cache::new(limits::LETTER_ADDRESSES), waiting })
    }

    /// Puts a wish into the queue. It is never waited for.
    pub fn wish(&self, wish: Wish) {
        if self.queue.try_send(wish).is_err() {
            tracing::warn!("a letter is left out: more than {} wait to be sent", limits::LETTERS);
        }
    }

    /// Sends what is wished, for ever.
    pub async fn follow(&self, control: &ControlStore) {
        let control = control.opened().await;
        let mut waiting = self.waiting.lock().await;
        let wishes = stream::poll_fn(|context| waiting.poll_recv(context));
        wishes.for_each_concurrent(AT_ONCE, |wish| self.fulfil(&control, wish)).await;
    }

    async fn fulfil(&self, control: &Arc<Control>, wish: Wish) {
        let letter = match self.written(control, wish).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a letter could not be written");
                return;
            }
        };
        let (attempts, wait) = limits::LETTER_ATTEMPTS;
        for attempt in 1..=attempts {
            match self.server.send(&letter).await {
                Ok(()) => return,
                Err(failed) => {
                    tracing::warn!(attempt, why = failed.why, "a letter was not sent");
                    if failed.is_final {
                        return;
                    }
                }
            }
            if attempt < attempts {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Whether an address gets one more of this kind. Those that set a password are counted in the control store, for all processes.
    fn may_have(&self, kind: &'static str, to: &str) -> bool {
        let key = (kind, to.to_lowercase());
        let bucket = self.sent.get(&key).unwrap_or_else(|| {
            let (requests, per) = limits::LETTERS_OF_ONE;
            let made = Arc::new(Bucket::new(Rate { requests: u32::try_from(requests).unwrap_or(1), per }));
            self.sent.insert(key, Arc::clone(&made));
            made
        });
        let may = bucket.count().is_ok();
        if !may {
            tracing::info!(kind, "no further letter to an address: enough were sent to it in the last hour");
        }
        may
    }

    /// The letter; nothing where nobody is to get one.
    async fn written(&self, control: &Control, wish: Wish) -> Result<Option<Letter>, Error> {
        Ok(match wish {
            Wish::Reset { email } => control.begin_reset(&email).await?.map(|letter| Letter {
                subject: "Set a new password".to_owned(),
                body: format!(
                    "Somebody asked for a link to set a new password of your account at {}.\n\n{}\n\nIt is good once, for an hour. If it \
                     was not you, leave it: nothing has changed.\n",
                    self.base.host_str().unwrap_or_default(),
                    self.link("login", "reset", &letter.token)
                ),
                to: letter.to,
            }),
            Wish::Verify { user } => {
                let letter = control.begin_verification(&user).await?;
                if !self.may_have("verify", &letter.to) {
                    return Ok(None);
                }
                Some(Letter {
                    subject: "Is this your address?".to_owned(),
                    body: format!(
                        "An account at {} was made with this address. If it is yours, follow this link.\n\n{}\n\nIt is good for two days. \
                         If you did not make an account, leave it.\n",
                        self.base.host_str().unwrap_or_default(),
                        self.link("login", "verify", &letter.token)
                    ),
                    to: letter.to,
                })
            }
            Wish::Invitation { email, organisation, token } => {
                if !self.may_have("invitation", &email) {
                    return Ok(None);
                }
                // Whatever an organisation calls itself, it writes no second line.
                let name: String = organisation.chars().filter(|c| !c.is_control()).take(100).collect();
                Some(Letter {
                    subject: format!("You are invited to {name}"),
                    body: format!(
                        "You are invited to the organisation \"{name}\" at {}.\n\n{}\n\nIf you do not know it, leave this letter.\n",
                        self.base.host_str().unwrap_or_default(),
                        self.link("sign-up", "invitation", &token)
                    ),
                    to: email,
                })
            }
        })
    }

    fn link(&self, page: &str, what: &str, token: &Secret) -> String {
        let mut url = self.base.clone();
        url.set_path(page);
        url.set_fragment(Some(&format!("{what}={}", token.expose())));
        url.to_string()
    }
}
