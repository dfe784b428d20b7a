//! Mail, by SMTP over TLS (RFC 5321, 3207, 8314).
//!
//! Guarantee: the server's name is resolved and looked at for this mail, what was looked at is what is connected to, and the certificate has
//! to be of the name. Without TLS nothing is sent. A mail and its copies after a lost answer have one `Message-ID`. A recipient that the server refuses
//! for good, or after three attempts for now, keeps the mail from nobody else: it is sent to the others, and who was refused is told.

use std::time::{Duration, SystemTime};

use conditions::MailTls;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Envelope,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, Tls, TlsParameters},
        commands::{Mail as MailFrom, Rcpt},
        extension::{ClientId, MailParameter},
    },
};
use runtime::targets::{Refused, Targets};
use rustls::pki_types::CertificateDer;
use schemas::limits::alerts as limits;
use tokio::time::timeout;

use super::channels::{Mail, Verdict};

/// What became of a mail, and the server's status where there was one.
pub type Outcome = (Verdict, Option<u16>);

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Attempts after which the others do not wait any more for a recipient whom the server does not take for now.
const PATIENT: u32 = 3;

/// Sends a mail to all its recipients. With it comes whom the server refused, where others were sent it.
pub async fn send(mail: &Mail, targets: &Targets, further: &[CertificateDer<'static>]) -> (Outcome, Option<String>) {
    let mut refused = None;
    let outcome = match timeout(limits::ATTEMPT_WITHIN, sending(mail, targets, further, &mut refused)).await {
        Ok(outcome) => outcome,
        Err(_) => (Verdict::retry(format!("no answer within {} s", limits::ATTEMPT_WITHIN.as_secs())), None),
    };
    (outcome, refused)
}

async fn sending(
    mail: &Mail,
    targets: &Targets,
    further: &[CertificateDer<'static>],
    refused: &mut Option<String>,
) -> Outcome {
    let message = match message(mail) {
        Ok(message) => message,
        Err(why) => return (Verdict::Final { why, disable: false }, None),
    };
    let addresses = match targets.host(&mail.host, mail.port).await {
        Ok(addresses) => addresses,
        Err(Refused::NotAllowed(why)) => return (Verdict::Final { why, disable: false }, None),
        Err(Refused::Unresolved(why)) => return (Verdict::retry(why), None),
    };
    let mut tls = TlsParameters::builder(mail.host.clone());
    for certificate in further {
        if let Ok(certificate) = Certificate::from_der(certificate.to_vec()) {
            tls = tls.add_root_certificate(certificate);
        }
    }
    let tls = match tls.build() {
        Ok(tls) => tls,
        Err(error) => return (Verdict::retry(error.to_string()), None),
    };
    let mut last = (Verdict::retry("the server has no address"), None);
    for address in addresses {
        let server = Server { mail, address: address.ip().to_string(), tls: tls.clone() };
        match server.send(message.envelope(), &message.formatted()).await {
            Ok(status) => return taken(mail, status),
            Err(error) => {
                let status = error.status().map(u16::from);
                last = (verdict(status, &error.to_string()), status);
                // It does not say whom it meant.
                let is_of_some = matches!(last.0, Verdict::Final { disable: false, .. }) || is_late(mail, status);
                if mail.recipients.len() > 1 && is_of_some {
                    return server.send_to_others(&message, last, refused).await;
                }
                if status.is_some() {
                    return last;
                }
            }
        }
    }
    last
}

/// Whether what the server does not take for now has kept the mail back for long enough (RFC 5321, 4.2.1). At 421 it closes the connection.
fn is_late(mail: &Mail, status: Option<u16>) -> bool {
    mail.attempts >= PATIENT && matches!(status, Some(400..=420 | 422..=499))
}

/// Whom the server refuses.
struct Refusal {
    address: Address,
    /// Only for now.
    passes: bool,
    why: String,
}

fn taken(mail: &Mail, status: u16) -> Outcome {
    (Verdict::Sent { thread: Some(mail.id.clone()), hold: None }, Some(status))
}

/// The server, at an address that was looked at.
struct Server<'m> {
    mail: &'m Mail,
    address: String,
    tls: TlsParameters,
}

impl Server<'_> {
    fn credentials(&self) -> Option<Credentials> {
        self.mail.login.as_ref().map(|(user, password)| Credentials::new(user.clone(), password.clone()))
    }

    async fn send(&self, envelope: &Envelope, text: &[u8]) -> Result<u16, Error> {
        let tls = match self.mail.tls {
            MailTls::StartTls => Tls::Required(self.tls.clone()),
            MailTls::Tls => Tls::Wrapper(self.tls.clone()),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.address.clone())
            .port(self.mail.port)
            .tls(tls)
            .timeout(Some(ANSWER_WITHIN));
        if let Some(credentials) = self.credentials() {
            transport = transport.credentials(credentials);
        }
        transport.build().send_raw(envelope, text).await.map(|response| u16::from(response.code()))
    }

    /// The mail was refused: those who are not the reason are sent it all the same.
    async fn send_to_others(&self, message: &Message, whole: Outcome, told: &mut Option<String>) -> Outcome {
        let envelope = message.envelope();
        let failed = |error: Error| {
            let status = error.status().map(u16::from);
            (verdict(status, &error.to_string()), status)
        };
        let refused = match self.refused(envelope).await {
            Ok(refused) => refused,
            Err(error) => return failed(error),
        };
        let is_refused = |address: &Address| refused.iter().any(|refusal| refusal.address == *address);
        let others: Vec<Address> = envelope.to().iter().filter(|address| !is_refused(address)).cloned().collect();
        let Some(first) = refused.first() else { return whole };
        let names: Vec<String> = refused.iter().map(|refusal| refusal.address.to_string()).collect();
        let why = format!("the server refuses {}: {}", names.join(", "), first.why);
        // There are no others.
        let Ok(others) = Envelope::new(envelope.from().cloned(), others) else {
            if refused.iter().any(|refusal| refusal.passes) {
                return (verdict(Some(450), &why), whole.1);
            }
            return (Verdict::Final { why, disable: false }, whole.1);
        };
        match self.send(&others, &message.formatted()).await {
            Ok(status) => {
                *told = Some(why);
                taken(self.mail, status)
            }
            Err(error) => failed(error),
        }
    }

    /// Whom the server refuses for good, or for now where that was so for long enough, each with its words. Nothing is sent for it.
    async fn refused(&self, envelope: &Envelope) -> Result<Vec<Refusal>, Error> {
        let name = ClientId::default();
        let from_the_start = match self.mail.tls {
            MailTls::StartTls => None,
            MailTls::Tls => Some(self.tls.clone()),
        };
        let starttls = from_the_start.is_none();
        let at = (self.address.as_str(), self.mail.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(at, Some(ANSWER_WITHIN), &name, from_the_start, None).await?;
        if starttls {
            connection.starttls(self.tls.clone(), &name).await?;
        }
        if let Some(credentials) = self.credentials() {
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        // RFC 6531: who names such an address has to say so before.
        let wide = envelope.to().iter().chain(envelope.from()).any(|address| !address.to_string().is_ascii());
        let parameters = if wide { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        connection.command(MailFrom::new(envelope.from().cloned(), parameters)).await?;
        let mut refused = Vec::new();
        for address in envelope.to() {
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => {}
                Err(error) => {
                    let passes = !error.is_permanent();
                    if passes && !is_late(self.mail, error.status().map(u16::from)) {
                        return Err(error);
                    }
                    refused.push(Refusal { address: address.clone(), passes, why: error.to_string() });
                }
            }
        }
        connection.abort().await;
        Ok(refused)
    }
}

/// 4xx and everything before an answer may pass; a refused login disables; another 5xx is for good (RFC 5321, 4.2.1).
fn verdict(status: Option<u16>, why: &str) -> Verdict {
    match status {
        Some(421 | 450 | 451 | 452) => {
            let wait = Some(Duration::from_secs(60));
            Verdict::Retry { at_least: wait, hold: wait, why: why.to_owned() }
        }
        Some(530 | 534 | 535 | 538) => Verdict::Final { why: why.to_owned(), disable: true },
        Some(500..) => Verdict::Final { why: why.to_owned(), disable: false },
        _ => Verdict::retry(why),
    }
}

fn message(mail: &Mail) -> Result<Message, String> {
    let address = |text: &str| -> Result<Mailbox, String> {
        Ok(Mailbox::new(None, text.parse().map_err(|_| format!("`{text}` is no address"))?))
    };
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(mail.at.0).unwrap_or(0));
    // RFC 3834: nobody's absence answers it.
    let automatic = HeaderName::new_from_ascii("Auto-Submitted".to_owned()).map_err(|e| e.to_string())?;
    let mut message = Message::builder()
        .from(address(&mail.sender)?)
        .subject(mail.subject.clone())
        .date(at)
        .message_id(Some(mail.id.clone()))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN);
    if let Some(first) = &mail.follows {
        message = message.in_reply_to(first.clone()).references(first.clone());
    }
    for recipient in &mail.recipients {
        message = message.to(address(recipient)?);
    }
    message.body(mail.body.clone()).map_err(|e| format!("no mail can be made of it: {e}"))
}
