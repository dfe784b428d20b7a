//! The mail server of `[auth.mail]`.
//!
//! Guarantee: its name is resolved and looked at for each letter (`runtime::targets`), what was looked at is what is connected to, and the
//! certificate has to be of the name. Without TLS nothing is sent, but to a server of this machine where the configuration says so.

use std::time::SystemTime;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use runtime::{
    config::{AuthMail, MailSecurity},
    targets::{Refused, Targets},
};
use schemas::limits::people as limits;
use tokio::time::timeout;

use super::Letter;

/// Why a letter was not sent.
pub(super) struct Failed {
    pub(super) why: String,
    /// Trying again changes nothing.
    pub(super) is_final: bool,
}

fn is_final(why: impl Into<String>) -> Failed {
    Failed { why: why.into(), is_final: true }
}

fn for_now(why: impl Into<String>) -> Failed {
    Failed { why: why.into(), is_final: false }
}

/// The server.
pub(super) struct Server {
    mail: AuthMail,
    targets: Targets,
}

impl Server {
    pub(super) fn new(mail: AuthMail, targets: Targets) -> Self {
        Self { mail, targets }
    }

    /// Sends a letter.
    pub(super) async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        let late = || for_now(format!("no answer within {} s", limits::LETTER_WITHIN.as_secs()));
        timeout(limits::LETTER_WITHIN, self.sending(letter)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn sending(&self, letter: &Letter) -> Result<(), Failed> {
        let message = self.message(letter)?;
        let addresses = self.targets.host(&self.mail.host, self.mail.port).await.map_err(|refused| match refused {
            Refused::NotAllowed(why) => is_final(why),
            Refused::Unresolved(why) => for_now(why),
        })?;
        let mut last = for_now("the server has no address");
        for address in addresses {
            let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
                .port(self.mail.port)
                .tls(self.tls()?)
                .timeout(Some(limits::LETTER_WITHIN / 2));
            if let Some((user, password)) = &self.mail.login {
                transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
            }
            match transport.build().send(message.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    last = failed(&error);
                    if last.is_final {
                        return Err(last);
                    }
                }
            }
        }
        Err(last)
    }

    fn tls(&self) -> Result<Tls, Failed> {
        if self.mail.tls == MailSecurity::None {
            return Ok(Tls::None);
        }
        let parameters = TlsParameters::builder(self.mail.host.clone()).build().map_err(|e| for_now(e.to_string()))?;
        Ok(match self.mail.tls {
            MailSecurity::Tls => Tls::Wrapper(parameters),
            MailSecurity::StartTls | MailSecurity::None => Tls::Required(parameters),
        })
    }

    fn message(&self, letter: &Letter) -> Result<Message, Failed> {
        let mailbox = |text: &str| -> Result<Mailbox, Failed> {
            // The address itself is nobody's business in a log.
            Ok(Mailbox::new(None, text.parse().map_err(|_| is_final("what should be an address is none"))?))
        };
        // RFC 3834: nobody's absence answers it.
        let automatic = HeaderName::new_from_ascii("Auto-Submitted".to_owned()).map_err(|e| is_final(e.to_string()))?;
        Message::builder()
            .from(mailbox(&self.mail.from)?)
            .to(mailbox(&letter.to)?)
            .subject(letter.subject.clone())
            .date(SystemTime::now())
            .message_id(None)
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(|e| is_final(format!("no letter can be made of it: {e}")))
    }
}

/// What the server says for good is for good (RFC 5321, 4.2.1); all else may pass. Its words may name the address, and stay away from the log.
fn failed(error: &Error) -> Failed {
    match error.status().map(u16::from) {
        Some(status) => Failed { why: format!("the mail server answers {status}"), is_final: status >= 500 },
        None => for_now(error.to_string()),
    }
}
