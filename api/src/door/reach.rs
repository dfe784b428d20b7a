//! Keys that are narrowed to networks: what is of another network is not there.
//!
//! Guarantee: it holds for every route of [`Resource::Chains`](control::Resource), by the one place where requests come in: a network in the
//! path or in the query that the key does not reach is answered as one that does not exist. A list over all networks becomes one of the
//! key's network; where it has several, one has to be named, but for what looks at each of them by itself ([`OF_ALL`]).

use axum::http::Uri;
use control::Networks;

use crate::error::ApiError;

/// Routes without a network that tell nothing of any.
const OF_NONE: [&str; 2] = ["/api/v1/sql", "/api/v1/ws"];
/// Routes that look at all that is reached where no network is named.
const OF_ALL: [&str; 3] = ["/api/v1/search", "/api/v1/failures", "/api/v1/metrics/overview"];

/// Whether this may be asked; and what is asked instead, where a network has to be added.
pub fn check(networks: &Networks, route: &str, uri: &Uri) -> Result<Option<Uri>, ApiError> {
    let Networks::Only(reached) = networks else { return Ok(None) };
    let refuse = |network: &str| match networks.contains(network) {
        true => Ok(()),
        false => Err(ApiError::NetworkNotFound { network: crate::error::cut(network) }),
    };
    let place = route.split('/').position(|part| part == "{network}");
    if let Some(place) = place {
        // Slugs have nothing that has to be escaped: what is written otherwise is none that is reached.
        return refuse(uri.path().split('/').nth(place).unwrap_or_default()).map(|()| None);
    }
    if OF_NONE.contains(&route) {
        return Ok(None);
    }
    let query = uri.query().unwrap_or_default();
    let mut named = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "network").peekable();
    if named.peek().is_some() {
        named.try_for_each(|(_, network)| refuse(&network))?;
        return Ok(None);
    }
    if OF_ALL.contains(&route) && !reached.is_empty() {
        return Ok(None);
    }
    let [only] = &reached[..] else {
        let expected = format!("one of those that this key reaches: {}", networks.listed().join(", "));
        return Err(ApiError::invalid("network", "", expected));
    };
    let joined = if query.is_empty() { format!("network={only}") } else { format!("{query}&network={only}") };
    format!("{}?{joined}", uri.path()).parse().map(Some).map_err(|_| ApiError::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_network_is_not_there() {
        let only = |list: &[&str]| Networks::Only(list.iter().map(|n| n.parse().expect("a slug")).collect());
        let (one, two) = (only(&["a"]), only(&["a", "b"]));
        let check = |networks: &Networks, route: &str, uri: &str| {
            check(networks, route, &uri.parse().expect("a uri"))
                .map(|uri| uri.map(|u| u.to_string()))
                .map_err(|e| e.kind().name)
        };
        let (txs, tx) = ("/api/v1/txs", "/api/v1/txs/{network}/{hash}");
        assert_eq!(check(&Networks::All, txs, "/api/v1/txs?network=z"), Ok(None));
        assert_eq!(check(&one, txs, "/api/v1/txs"), Ok(Some("/api/v1/txs?network=a".to_owned())));
        assert_eq!(check(&one, txs, "/api/v1/txs?limit=3"), Ok(Some("/api/v1/txs?limit=3&network=a".to_owned())));
        assert_eq!(check(&two, txs, "/api/v1/txs"), Err("invalid-parameter"));
        for networks in [&one, &two] {
            assert_eq!(check(networks, txs, "/api/v1/txs?network=a"), Ok(None));
            assert_eq!(check(networks, txs, "/api/v1/txs?network=c"), Err("network-not-found"));
            assert_eq!(check(networks, txs, "/api/v1/txs?network=a&network=c"), Err("network-not-found"));
            assert_eq!(check(networks, txs, "/api/v1/txs?n%65twork=c"), Err("network-not-found"));
            assert_eq!(check(networks, tx, "/api/v1/txs/a/0x1"), Ok(None));
            assert_eq!(check(networks, tx, "/api/v1/txs/c/0x1"), Err("network-not-found"));
            assert_eq!(check(networks, tx, "/api/v1/txs/%61/0x1"), Err("network-not-found"));
            assert_eq!(check(networks, "/api/v1/sql", "/api/v1/sql"), Ok(None));
            for route in OF_ALL {
                assert_eq!(check(networks, route, &format!("{route}?limit=1")), Ok(None));
                assert_eq!(check(networks, route, &format!("{route}?network=a")), Ok(None));
                assert_eq!(check(networks, route, &format!("{route}?network=c")), Err("network-not-found"));
            }
        }
        for route in [txs, OF_ALL[0], OF_ALL[1]] {
            assert_eq!(check(&only(&[]), route, route), Err("invalid-parameter"), "a key of nothing");
        }
    }
}
