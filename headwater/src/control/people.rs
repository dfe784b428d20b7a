//! `headwater people`: who is an operator of the platform.

use std::io::Write;

use clap::{Args, Subcommand};
use control::{Error, Operator};

use super::{failed, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Commands of people.
#[derive(Subcommand)]
pub enum People {
    /// Make somebody who has an account an operator of the platform, who sees and suspends all organisations; or none any more
    Operator(OperatorArgs),
    /// The operators of the platform: id, e-mail address, name
    Operators(ConfigFile),
}

/// Arguments of `operator`.
#[derive(Args)]
pub struct OperatorArgs {
    /// The e-mail address of the account
    email: String,
    /// He is none any more; it holds within 5 seconds
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs one of them.
pub fn run(command: &People) -> Result<(), Failure> {
    match command {
        People::Operator(args) => with_operator(&args.config.config, async |operator| {
            let set = operator.set_platform(&args.email, !args.revoke).await;
            let person = set.map_err(|error| match error {
                Error::NotFound => Failure::new(format!("there is no account of {}", args.email)),
                error => failed(error),
            })?;
            let word = if person.platform { "an" } else { "no" };
            eprintln!("{} is {word} operator of the platform; every process knows it within 5 seconds", person.email);
            if person.platform && person.verified_at.is_none() {
                eprintln!(
                    "nobody has shown yet that this address is his: anybody could have made the account; ask its person before you go on"
                );
            }
            Ok(())
        }),
        People::Operators(file) => with_operator(&file.config, list),
    }
}

async fn list(operator: &Operator) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ID\tE-MAIL\tNAME")?;
    for person in operator.operators().await.map_err(failed)? {
        writeln!(out, "{}\t{}\t{}", person.id, person.email, person.name)?;
    }
    Ok(())
}
