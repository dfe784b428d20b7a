//! `headwater tail`: decoded records of the log, whoever holds it ([`crate::way`]).

pub mod follow;
mod print;
mod query;
pub mod route;

pub use query::Query;

use clap::Args;
use runtime::config::Config;
use schemas::{Network, topics};

use crate::{
    arguments::{ConfigFile, Format},
    exit::Failure,
    parts,
    way::Way,
};
use query::{From, topic};

/// Arguments of `headwater tail`.
#[derive(Args)]
pub struct Tail {
    /// The topic without prefix, such as `enriched.transactions`
    pub topic: String,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only this network
    #[arg(long, value_name = "SLUG")]
    pub network: Option<schemas::Network>,
    /// Where to begin: `beginning`, `end`, or a sequence
    #[arg(long, value_name = "beginning|end|SEQUENCE", default_value = "beginning")]
    pub from: From,
    /// One JSON object a line, or a table for people
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Go on with what comes
    #[arg(long)]
    pub follow: bool,
}

/// Prints a topic.
pub fn run(args: &Tail) -> Result<(), Failure> {
    let spec = topic(&args.topic).map_err(Failure::arguments)?;
    let config = runtime::config::load(&args.config.config)?;
    let query = Query { network: args.network.clone(), from: args.from.to_string(), follow: args.follow };
    parts::block_on(async {
        if let Some(network) = &args.network {
            known(&config, spec, network).await?;
        }
        let mut out = print::Printer::new(args.format);
        each_line(&config, spec, query, async |line| Ok(out.line(line)?)).await
    })?
}

/// Refuses a network that is neither configured nor in the topic: nothing would ever be printed.
async fn known(config: &Config, spec: topics::TopicSpec, network: &Network) -> Result<(), Failure> {
    if config.networks.iter().any(|n| n.slug == *network) {
        return Ok(());
    }
    let mut found = false;
    let query = Query { network: Some(network.clone()), from: From::Beginning.to_string(), follow: false };
    each_line(config, spec, query, async |_| {
        found = true;
        Ok(false)
    })
    .await?;
    if found {
        return Ok(());
    }
    let slugs: Vec<&str> = config.networks.iter().map(|n| n.slug.as_str()).collect();
    let slugs = if slugs.is_empty() { "none".to_owned() } else { slugs.join(", ") };
    Err(Failure::new(format!(
        "network `{network}` is not in the configuration, and {} holds nothing of it; the configured networks: {slugs}",
        spec.name
    )))
}

/// Calls with every matching record as a line of JSON, until it returns false.
pub async fn each_line(
    config: &Config,
    spec: topics::TopicSpec,
    query: Query,
    each: impl AsyncFnMut(&str) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let way = Way::find(config).await?;
    way.each_line(spec, query, each).await?;
    way.close().await
}
