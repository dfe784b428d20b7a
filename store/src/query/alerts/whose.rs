//! Whose rows a question is about.

use clickhouse::query::Query;
use schemas::Network;

/// One tenant, and the networks of it that are reached. Every question about what is a tenant's takes one and binds it: there is no other
/// way to those rows. The API makes one from who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The tenant's id.
    pub tenant: String,
    /// Of these networks only; `None`: of all.
    pub networks: Option<Vec<Network>>,
}

impl Whose {
    /// The condition on a table with `tenant` and `network`.
    pub(super) fn condition(&self) -> &'static str {
        match self.networks {
            Some(_) => "tenant = {tenant:String} AND network IN {reached:Array(String)}",
            None => "tenant = {tenant:String}",
        }
    }

    /// Its values.
    pub(super) fn bind(&self, query: Query) -> Query {
        let query = query.param("tenant", self.tenant.as_str());
        match &self.networks {
            Some(networks) => query.param("reached", networks.iter().map(Network::as_str).collect::<Vec<_>>()),
            None => query,
        }
    }
}
