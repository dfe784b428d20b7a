//! `headwater topics acls`: the list of rights ([`access`](crate::access)) as commands of Kafka's own tool.

use std::{fmt, io::Write};

use clap::{Args, ValueEnum};

use crate::{
    access::{On, Role, rights},
    arguments::ConfigFile,
    exit::Failure,
    parts,
};

/// Arguments of `headwater topics acls`.
#[derive(Args)]
pub struct Acls {
    /// Only these stages and commands
    #[arg(value_enum)]
    pub roles: Vec<Role>,
    /// Who is allowed, such as `User:CN=ingest` [default: User: and the stage's name]
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The rights as commands of Kafka's own tool.
struct Grants<'a> {
    role: Role,
    principal: &'a str,
    brokers: &'a str,
    prefix: &'a str,
}

impl fmt::Display for Grants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, principal, brokers, prefix } = self;
        for right in rights(*role) {
            write!(f, "kafka-acls --bootstrap-server {brokers} --command-config admin.properties --add")?;
            write!(f, " --allow-principal {principal}")?;
            right.operations.iter().try_for_each(|operation| write!(f, " --operation {operation}"))?;
            match right.on {
                On::Topics(topics) => topics.iter().try_for_each(|t| write!(f, " --topic {prefix}{}", t.name))?,
                On::AllTopics if prefix.is_empty() => write!(f, " --topic '*'")?,
                On::AllTopics => write!(f, " --topic {prefix} --resource-pattern-type prefixed")?,
                On::Group(name) => write!(f, " --group {prefix}{name}")?,
                On::TransactionalIds(name) => {
                    write!(f, " --transactional-id {prefix}{name} --resource-pattern-type prefixed")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Prints the commands that grant a role what it needs, and nothing else.
pub fn print(args: &Acls) -> Result<(), Failure> {
    let config = runtime::config::load(&args.config.config)?;
    let kafka = parts::kafka_of(&config)?;
    let mut out = std::io::stdout().lock();
    for role in if args.roles.is_empty() { Role::value_variants() } else { &args.roles } {
        let name = role.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let principal = args.principal.as_deref().map_or_else(|| format!("User:{name}"), str::to_owned);
        let grants = Grants { role: *role, principal: &principal, brokers: &kafka.brokers, prefix: &config.log.prefix };
        write!(out, "# {name}\n{grants}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_shows_the_list() {
        let document = include_str!("../../docs/kafka.md");
        for role in Role::value_variants() {
            let name = role.to_possible_value().expect("no role is hidden").get_name().to_owned();
            let principal = format!("User:{name}");
            let grants = Grants {
                role: *role,
                principal: &principal,
                brokers: "10.0.0.1:9093",
                prefix: schemas::topics::DEFAULT_PREFIX,
            };
            for line in grants.to_string().lines() {
                assert!(document.lines().any(|l| l == line), "docs/kafka.md lacks, for {name}:\n{grants}");
            }
        }
    }
}
