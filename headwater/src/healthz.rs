//! `headwater healthz`: asks the process of a configuration whether it lives, and says so by the exit status alone: for the health
//! checks of containers, whose images hold no other program that could ask.

use std::{net::SocketAddr, time::Duration};

use clap::Args;

use crate::{arguments::ConfigFile, exit::Failure, parts};

/// From the question to the answer.
const DEADLINE: Duration = Duration::from_secs(4);

/// Arguments of `headwater healthz`.
#[derive(Args)]
pub struct Healthz {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Ask whether it can do its work (`/readyz`) instead of whether it lives (`/healthz`)
    #[arg(long)]
    pub ready: bool,
    /// Where its health listens instead of `[admin] listen`
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
}

/// Succeeds when the process says yes; otherwise the failure says what it said.
pub fn run(args: &Healthz) -> Result<(), Failure> {
    let listen = match args.admin_listen {
        Some(address) => address,
        None => runtime::config::load(&args.config.config)?.admin_listen,
    };
    let url = format!("http://{}/{}", reachable(listen), if args.ready { "readyz" } else { "healthz" });
    parts::block_on(async {
        let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?;
        let answer = client.get(&url).send().await.map_err(|e| {
            let why = if e.is_timeout() { format!("no answer within {} s", DEADLINE.as_secs()) } else { e.to_string() };
            format!("{url}: {why}; is `headwater` running with this `[admin] listen`?")
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let words = answer.text().await.unwrap_or_default();
        Err(Failure::new(format!("{url}: {status}: {}", words.trim())))
    })?
}

/// An address that a process which listens there answers at.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut at = listen;
    if at.ip().is_unspecified() {
        at.set_ip(match at {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:9090", "127.0.0.1:9090"), ("[::]:9090", "[::1]:9090"), ("10.0.0.4:9090", "10.0.0.4:9090")]
        {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), asked);
        }
    }
}
