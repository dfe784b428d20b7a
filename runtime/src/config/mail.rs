//! `[auth.mail]`: the server by which people get letters about their account.
//!
//! Guarantee: nothing is sent without TLS, but to a server of this machine where the file says so; a password is never shown.

use super::source::{Collector, Section};
use crate::secret::Secret;

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// With `STARTTLS` (RFC 3207), which has to be there.
    StartTls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Not at all: only to a server of this machine.
    None,
}

/// `[auth.mail]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthMail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS begins.
    pub tls: MailSecurity,
    /// User and password; `None`: the server wants none.
    pub login: Option<(String, Secret)>,
    /// From whom letters are: an address.
    pub from: String,
}

/// Reads the section, where it is there.
pub(super) fn read(mut s: Section, c: &mut Collector) -> Option<AuthMail> {
    const HOST: &str = "write the mail server's name, such as \"smtp.example.org\"";
    const FROM: &str = "write the address that letters come from, such as \"headwater@example.org\"";
    let mut text = |s: &mut Section, name: &'static str, cure: &str| {
        let there = s.has(name);
        let found = s.string(name, c).map(|p| (p.at, p.value.trim().to_owned()));
        let bad = found.as_ref().is_none_or(|(_, value)| value.is_empty());
        if bad && (found.is_some() || !there) {
            let problem = if there { "is empty" } else { "is missing" };
            c.mistake(found.as_ref().map_or(s.at(), |(at, _)| *at), &s.key(name), problem, cure);
        }
        found.filter(|_| !bad)
    };
    let host = text(&mut s, "host", HOST);
    let from = text(&mut s, "from", FROM);
    let tls = s.string("tls", c).map_or(MailSecurity::StartTls, |p| match p.value.as_str() {
        "starttls" => MailSecurity::StartTls,
        "tls" => MailSecurity::Tls,
        "none" => {
            if !host.as_ref().is_some_and(|(_, host)| is_here(host)) {
                let problem = "is \"none\", and the server is not on this machine";
                c.mistake(
                    p.at,
                    &s.key("tls"),
                    problem,
                    "write \"starttls\" or \"tls\": links and passwords pass there",
                );
            }
            MailSecurity::None
        }
        other => {
            let problem = format!("`{}` is no way", other.chars().take(40).collect::<String>());
            c.mistake(p.at, &s.key("tls"), problem, "write \"starttls\" or \"tls\"");
            MailSecurity::StartTls
        }
    });
    let usual = if tls == MailSecurity::Tls { 465 } else { 587 };
    let port = s.number("port", c).map_or(usual, |p| match u16::try_from(p.value) {
        Ok(port) if port > 0 => port,
        _ => {
            c.mistake(p.at, &s.key("port"), format!("{} is no port", p.value), "write a port from 1 to 65535");
            usual
        }
    });
    if let Some((at, from)) = &from
        && !is_address(from)
    {
        c.mistake(*at, &s.key("from"), "is no address", FROM);
    }
    let (user, password) = (s.string("user", c), s.string("password", c));
    if user.is_some() != password.is_some() {
        let (name, other) = if user.is_some() { ("password", "user") } else { ("user", "password") };
        let at = user.as_ref().or(password.as_ref()).map_or(s.at(), |p| p.at);
        c.mistake(at, &s.key(name), format!("is missing beside `{other}`"), "write both, or neither");
    }
    s.finish(c);
    let login = user.zip(password).map(|(user, password)| (user.value, Secret::new(password.value)));
    Some(AuthMail { host: host?.1, port, tls, login, from: from?.1 })
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Something before one `@`, and a name of a host behind it; what a mail library says more is told when a letter is written.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(local, host)| {
        !local.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Mistake, parse};

    fn mail(text: &str) -> Result<Option<AuthMail>, Vec<Mistake>> {
        let text = format!("[api]\npublic_url = \"https://hw.example\"\n[auth]\nmode = \"accounts\"\n{text}");
        parse(&text, Path::new(""), &|_| None).map(|config| config.auth.mail)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(mail("").expect("good"), None);
        let text =
            "[auth.mail]\nhost = \"smtp.example\"\nfrom = \"hw@example.org\"\nuser = \"u\"\npassword = \"p4ss\"\n";
        let found = mail(text).expect("good").expect("there");
        assert_eq!((found.port, found.tls), (587, MailSecurity::StartTls));
        assert!(!format!("{found:?}").contains("p4ss"));
        let near = mail("[auth.mail]\nhost = \"127.0.0.1\"\nfrom = \"a@b\"\ntls = \"none\"\nport = 2525\n");
        assert_eq!(near.expect("good").map(|mail| (mail.port, mail.tls)), Some((2_525, MailSecurity::None)));
    }

    #[test]
    fn each_mistake_has_its_key() {
        for (text, key) in [
            ("host = \"h\"", "auth.mail.from"),
            ("from = \"a@b\"", "auth.mail.host"),
            ("host = \"h\"\nfrom = \"nobody\"", "auth.mail.from"),
            ("host = \"h\"\nfrom = \"a@b\"\ntls = \"none\"", "auth.mail.tls"),
            ("host = \"h\"\nfrom = \"a@b\"\ntls = \"ssl\"", "auth.mail.tls"),
            ("host = \"h\"\nfrom = \"a@b\"\nport = 0", "auth.mail.port"),
            ("host = \"h\"\nfrom = \"a@b\"\nuser = \"u\"", "auth.mail.password"),
            ("host = \"h\"\nfrom = \"a@b\"\nsender = \"u\"", "auth.mail.sender"),
        ] {
            let mistakes = mail(&format!("[auth.mail]\n{text}\n")).expect_err(text);
            assert!(mistakes.len() == 1 && mistakes[0].key == key, "{text}: {mistakes:?}");
        }
    }
}
