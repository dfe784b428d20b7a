//! Letters to people about their account.
//!
//! Guarantee: whoever asks for one is answered before anybody has looked for an account, so that neither the answer nor its time tells whether
//! there is one. Links lead to `[api] public_url` and hold their secret behind `#`, where no server and no log sees it. What waits is bounded;
//! what is over that is left out, and the log says so; and so is what an address would get too many of, whoever wishes them: nobody is written to
//! over and over by what others do here. A letter that is not sent after some attempts is given up: who wanted it asks again.

mod smtp;

use std::sync::Arc;

use control::{Control, Error, Id, Joining, NewPerson, SignUpLetter};
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
    /// To come into being, or, where there is an account of the address already, to hear that somebody tried.
    SignUp {
        /// Who that is to be, with the password's hash.
        new: NewPerson,
        /// Where to.
        into: Joining,
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
            Wish::SignUp { new, into } => {
                let to = new.email.trim().to_lowercase();
                if !self.may_have("sign-up", &to) {
                    return Ok(None);
                }
                let (subject, body) = self.sign_up(&control.begin_sign_up_by_letter(new, into).await?);
                Some(Letter { to, subject: subject.to_owned(), body })
            }
            Wish::Verify { user } => {
                let letter = control.begin_verification(&user).await?;
                if !self.may_have("verify", &letter.to) {
                    return Ok(None);
                }
                Some(Letter {
                    subject: "Is this your address?".to_owned(),
                    body: format!(
                        "An account at {} was made with this address. If it is yours, log in to it, and follow this link.\n\n{}\n\nIt is good for \
                         two days. If you did not make an account, leave it, or have its password set anew: that ends all that whoever made it \
                         had set.\n",
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

    /// Subject and text for whoever wants an account.
    fn sign_up(&self, letter: &SignUpLetter) -> (&'static str, String) {
        let host = self.base.host_str().unwrap_or_default();
        match letter {
            SignUpLetter::Link(token) => (
                "Your account",
                format!(
                    "Somebody, you it is hoped, wants an account at {host} with this address. Follow this link and write the password that \
                     was chosen, and there it is.\n\n{}\n\nThe link is good for two days. If it was not you, leave it: there is no account, \
                     and nothing of you is kept.\n",
                    self.link("sign-up", "confirm", token)
                ),
            ),
            SignUpLetter::Taken => {
                let mut login = self.base.clone();
                login.set_path("login");
                let body = format!(
                    "Somebody tried to sign up at {host} with this address, and there is an account of it already. If it was you, log in; a \
                     password that was forgotten is set anew there, and an invitation that you followed takes the account that there is.\n\n\
                     {login}\n\nIf it was not you, leave it: nothing has changed.\n"
                );
                ("Somebody tried to sign up with your address", body)
            }
        }
    }

    fn link(&self, page: &str, what: &str, token: &Secret) -> String {
        let mut url = self.base.clone();
        url.set_path(page);
        url.set_fragment(Some(&format!("{what}={}", token.expose())));
        url.to_string()
    }
}
