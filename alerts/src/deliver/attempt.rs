//! One attempt: a plan is carried out, and what became of it is told without secrets.

use std::time::{Duration, Instant};

use runtime::scripts::{NoScript, Scripts};
use rustls::pki_types::CertificateDer;
use schemas::{TimeMs, limits::alerts as limits};
use serde_json::Value;

use super::{
    channels::{Plan, Step, Verdict, telegram},
    http::{Http, Trouble},
    mail, program,
    words::cut,
};

/// What sends. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    http: Http,
    further: std::sync::Arc<[CertificateDer<'static>]>,
    scripts: Scripts,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// What it means.
    pub verdict: Verdict,
    /// The receiver's status.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// What is to be known of it though it was taken.
    pub note: Option<String>,
}

impl Sender {
    /// One that trusts these certificates beside the system's.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new(
        targets: runtime::targets::Targets,
        further: Vec<CertificateDer<'static>>,
        scripts: Scripts,
    ) -> Result<Self, String> {
        Ok(Self { http: Http::new(targets, &further)?, further: further.into(), scripts })
    }

    /// Carries a plan out. `secrets` never appear in what is told.
    pub async fn attempt(&self, plan: &Plan, secrets: &Value) -> Attempted {
        let begun = Instant::now();
        let mut note = None;
        let (verdict, status) = match plan {
            Plan::Nothing => (Verdict::Sent { thread: None, hold: None }, None),
            Plan::Http(steps) => self.steps(steps).await,
            Plan::Mail(mail) => {
                let (outcome, refused) = mail::send(mail, self.http.targets(), &self.further).await;
                note = refused.map(|refused| told(refused, secrets));
                outcome
            }
            Plan::Script(call) => match self.scripts.find(&call.path) {
                Ok(program) => program::run(&program, call).await,
                // It may come back: a directory that is not mounted.
                Err(NoScript::Away(why)) => (Verdict::retry(why), None),
                Err(refused) => {
                    let why = format!("`config.path` {}", refused.why());
                    (Verdict::Final { why, disable: false }, None)
                }
            },
        };
        Attempted { verdict: without(verdict, secrets), status, took: begun.elapsed(), note }
    }

    async fn steps(&self, steps: &[Step]) -> (Verdict, Option<u16>) {
        let mut last = (Verdict::Sent { thread: None, hold: None }, None);
        for step in steps {
            let mut asked = self.http.ask(&step.request).await;
            if let (Ok(answer), Some(plainly)) = (&asked, &step.plainly)
                && telegram::is_unreadable(answer)
            {
                asked = self.http.ask(plainly).await;
            }
            let now = match asked {
                Ok(answer) => (step.judge.verdict(&answer, TimeMs::now()), Some(answer.status)),
                Err(Trouble::NotAllowed(why)) => (Verdict::Final { why, disable: false }, None),
                Err(Trouble::Away(why)) => (Verdict::retry(why), None),
            };
            match &now.0 {
                // The first id is the thread's: what follows has one of its own.
                Verdict::Sent { .. } if matches!(last.0, Verdict::Sent { thread: Some(_), .. }) => {}
                Verdict::Sent { .. } => last = now,
                Verdict::Final { disable: false, .. } if !step.needed => {}
                _ => return now,
            }
        }
        last
    }
}

/// The verdict with its words cut, and without anything that is among the secrets.
fn without(verdict: Verdict, secrets: &Value) -> Verdict {
    let clean = |why: String| told(why, secrets);
    match verdict {
        Verdict::Retry { at_least, hold, why } => Verdict::Retry { at_least, hold, why: clean(why) },
        Verdict::Final { why, disable } => Verdict::Final { why: clean(why), disable },
        sent @ Verdict::Sent { .. } => sent,
    }
}

fn told(words: String, secrets: &Value) -> String {
    cut(&scrub(words, secrets), limits::ERROR_CHARACTERS)
}

fn scrub(mut text: String, secrets: &Value) -> String {
    match secrets {
        Value::Object(map) => map.values().fold(text, scrub),
        Value::Array(items) => items.iter().fold(text, scrub),
        Value::String(secret) if secret.len() >= 4 => {
            // Of a URL, its path is what must not be seen.
            let path = url::Url::parse(secret).map(|url| url.path().to_owned()).unwrap_or_default();
            for secret in [secret.as_str(), path.as_str()] {
                if secret.len() >= 4 && text.contains(secret) {
                    text = text.replace(secret, "***");
                }
            }
            text
        }
        _ => text,
    }
}
