//! The table of permissions: which route and method needs what.
//!
//! Guarantee: it is the only answer to that question. The door lets nothing through to a route that has no row here ([`of`]), whatever the
//! router holds; the OpenAPI document takes `x-permission` and `security` from it; and tests go over the router and find a row for each
//! route and a route for each row.

use std::{collections::HashMap, sync::LazyLock};

use axum::http::Method;
use control::{
    Allowed::{self, Read, Write},
    Resource::{
        self, Alerts, Audit, Chains, Channels, Contracts, Deliveries, Keys, Members, Monitors, Organisation, Rules,
        Silences, Usage,
    },
    Role,
};

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: open in every mode.
    Nothing,
    /// To be somebody; whatever the scopes.
    Somebody,
    /// A scope.
    Scope(Resource, Allowed),
    /// A scope, and to read of chains: what it answers is of those.
    AndChains(Resource, Allowed),
    /// A scope; or to be a person, who may it of himself (the control store says what is his own).
    OrOwn(Resource, Allowed),
    /// To be a person who signed in, and no key.
    Person,
    /// To be an owner of the organisation, and no key; or an operator of the platform.
    Owner,
    /// To be an operator of the platform.
    Platform,
}

/// What somebody is, beside the scopes: no key is anything of it, unless it is an operator's of the platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Is {
    /// A person's role.
    pub role: Option<Role>,
    /// An operator of the platform.
    pub platform: bool,
}

impl Needs {
    /// Whether somebody who is this, and of whom this says what scopes allow, has what it needs.
    pub fn is_met(self, is: Is, allows: impl Fn(Resource, Allowed) -> bool) -> bool {
        match self {
            Self::Nothing | Self::Somebody => true,
            Self::Scope(resource, action) => allows(resource, action),
            Self::AndChains(resource, action) => allows(resource, action) && allows(Chains, Read),
            Self::OrOwn(resource, action) => allows(resource, action) || is.role.is_some(),
            Self::Person => is.role.is_some(),
            Self::Owner => is.role == Some(Role::Owner) || is.platform,
            Self::Platform => is.platform,
        }
    }

    /// As the documents have it: `none`, `any`, the scope, all scopes that are needed, or what one has to be: `person`, `owner`, `platform`.
    pub fn word(self) -> String {
        match self {
            Self::Nothing => "none".to_owned(),
            Self::Somebody => "any".to_owned(),
            Self::Scope(resource, Read) => format!("{}:read", resource.as_str()),
            Self::Scope(resource, Write) => format!("{}:write", resource.as_str()),
            Self::AndChains(resource, action) => {
                format!("{} {}", Self::Scope(resource, action).word(), Self::Scope(Chains, Read).word())
            }
            Self::OrOwn(resource, action) => format!("{} or own", Self::Scope(resource, action).word()),
            Self::Person => "person".to_owned(),
            Self::Owner => "owner".to_owned(),
            Self::Platform => "platform".to_owned(),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Method, as it is written in requests; `*`: every one. `GET` is `HEAD` too.
    pub method: &'static str,
    /// The route as the router has it.
    pub route: &'static str,
    /// What it needs.
    pub needs: Needs,
}

const fn row(method: &'static str, route: &'static str, needs: Needs) -> Row {
    Row { method, route, needs }
}
const fn open(route: &'static str) -> Row {
    row("GET", route, Needs::Nothing)
}
const fn reads(route: &'static str, resource: Resource) -> Row {
    row("GET", route, Needs::Scope(resource, Read))
}
const fn writes(method: &'static str, route: &'static str, resource: Resource) -> Row {
    row(method, route, Needs::Scope(resource, Write))
}

/// The table.
pub const TABLE: &[Row] = &[
    open("/api/v1/health"),
    open("/api/v1/openapi.json"),
    open("/api/v1/asyncapi.json"),
    row("POST", "/api/v1/auth/login", Needs::Nothing),
    open("/api/v1/auth/ways"),
    row("POST", "/api/v1/auth/sign-up", Needs::Nothing),
    row("POST", "/api/v1/auth/sign-up/confirm", Needs::Nothing),
    row("POST", "/api/v1/auth/refresh", Needs::Nothing),
    // By a provider, and back; by the link of a letter.
    open("/api/v1/auth/oidc/{provider}"),
    open("/api/v1/auth/oidc/{provider}/callback"),
    row("POST", "/api/v1/auth/oidc/{provider}/begin", Needs::Nothing),
    row("POST", "/api/v1/auth/oidc/{provider}", Needs::Person),
    row("POST", "/api/v1/auth/reset", Needs::Nothing),
    row("POST", "/api/v1/auth/reset/confirm", Needs::Nothing),
    row("POST", "/api/v1/auth/verify", Needs::Person),
    row("POST", "/api/v1/auth/verify/send", Needs::Person),
    row("POST", "/api/v1/auth/totp", Needs::Person),
    row("POST", "/api/v1/auth/totp/confirm", Needs::Person),
    row("DELETE", "/api/v1/auth/totp", Needs::Person),
    row("POST", "/api/v1/auth/logout", Needs::Somebody),
    row("GET", "/api/v1/auth/me", Needs::Somebody),
    // Of a person's own account.
    row("POST", "/api/v1/auth/switch", Needs::Person),
    row("POST", "/api/v1/auth/password", Needs::Person),
    row("GET", "/api/v1/auth/sessions", Needs::Person),
    row("DELETE", "/api/v1/auth/sessions/{id}", Needs::Person),
    row("GET", "/api/v1/auth/identities", Needs::Person),
    row("DELETE", "/api/v1/auth/identities/{id}", Needs::Person),
    open("/.well-known/jwks.json"),
    open("/docs"),
    open("/docs/docs.js"),
    open("/docs/docs.css"),
    open("/problems/{name}"),
    // The built-in registry answers what would change it by itself, in its own form.
    row("*", "/registry/subjects", Needs::Nothing),
    row("*", "/registry/subjects/{subject}", Needs::Nothing),
    row("*", "/registry/subjects/{subject}/versions", Needs::Nothing),
    row("*", "/registry/subjects/{subject}/versions/{version}", Needs::Nothing),
    row("*", "/registry/schemas/ids/{id}", Needs::Nothing),
    row("*", "/registry/schemas/ids/{id}/versions", Needs::Nothing),
    row("*", "/registry/schemas/types", Needs::Nothing),
    row("*", "/registry/config", Needs::Nothing),
    row("*", "/registry/config/{subject}", Needs::Nothing),
    reads("/api/v1/blocks", Chains),
    reads("/api/v1/blocks/{network}/{block}", Chains),
    reads("/api/v1/txs", Chains),
    reads("/api/v1/txs/export", Chains),
    reads("/api/v1/txs/{network}/{hash}", Chains),
    reads("/api/v1/txs/{network}/{hash}/similar", Chains),
    reads("/api/v1/txs/{network}/{hash}/endpoints", Chains),
    reads("/api/v1/metrics/overview", Chains),
    reads("/api/v1/metrics/series", Chains),
    reads("/api/v1/metrics/causes", Chains),
    reads("/api/v1/diagnosis", Chains),
    reads("/api/v1/failures", Chains),
    reads("/api/v1/search", Chains),
    reads("/api/v1/networks/{network}/completeness", Chains),
    reads("/api/v1/providers/health", Chains),
    reads("/api/v1/providers/{network}/{name}", Chains),
    reads("/api/v1/sql", Chains),
    reads("/api/v1/ws", Chains),
    reads("/api/v1/keys", Keys),
    writes("POST", "/api/v1/keys", Keys),
    reads("/api/v1/keys/{id}", Keys),
    writes("PATCH", "/api/v1/keys/{id}", Keys),
    writes("DELETE", "/api/v1/keys/{id}", Keys),
    writes("POST", "/api/v1/keys/{id}/rotate", Keys),
    reads("/api/v1/contracts", Contracts),
    writes("POST", "/api/v1/contracts", Contracts),
    // It names what an ABI holds, and changes nothing.
    row("POST", "/api/v1/contracts/abi", Needs::Scope(Contracts, Read)),
    reads("/api/v1/contracts/{id}", Contracts),
    writes("PATCH", "/api/v1/contracts/{id}", Contracts),
    writes("DELETE", "/api/v1/contracts/{id}", Contracts),
    reads("/api/v1/rules", Rules),
    writes("POST", "/api/v1/rules", Rules),
    reads("/api/v1/rules/{id}", Rules),
    writes("PATCH", "/api/v1/rules/{id}", Rules),
    writes("DELETE", "/api/v1/rules/{id}", Rules),
    reads("/api/v1/monitors", Monitors),
    writes("POST", "/api/v1/monitors", Monitors),
    reads("/api/v1/monitors/{id}", Monitors),
    writes("PATCH", "/api/v1/monitors/{id}", Monitors),
    writes("DELETE", "/api/v1/monitors/{id}", Monitors),
    reads("/api/v1/channels", Channels),
    writes("POST", "/api/v1/channels", Channels),
    reads("/api/v1/channels/{id}", Channels),
    writes("PATCH", "/api/v1/channels/{id}", Channels),
    writes("DELETE", "/api/v1/channels/{id}", Channels),
    reads("/api/v1/silences", Silences),
    writes("POST", "/api/v1/silences", Silences),
    reads("/api/v1/silences/{id}", Silences),
    writes("PATCH", "/api/v1/silences/{id}", Silences),
    writes("DELETE", "/api/v1/silences/{id}", Silences),
    reads("/api/v1/monitors/{id}/matches", Monitors),
    // They try a definition, and keep nothing. A rule's figures are those of chains.
    row("POST", "/api/v1/rules/preview", Needs::AndChains(Rules, Read)),
    row("POST", "/api/v1/monitors/preview", Needs::Scope(Monitors, Read)),
    // It shows an alert.
    row("POST", "/api/v1/channels/preview", Needs::Scope(Alerts, Read)),
    writes("POST", "/api/v1/channels/{id}/test", Channels),
    writes("POST", "/api/v1/channels/{id}/replay", Deliveries),
    reads("/api/v1/alerts", Alerts),
    reads("/api/v1/alerts/{id}", Alerts),
    writes("POST", "/api/v1/alerts/{id}/acknowledge", Alerts),
    reads("/api/v1/annotations", Alerts),
    reads("/api/v1/deliveries", Deliveries),
    reads("/api/v1/deliveries/{id}", Deliveries),
    writes("POST", "/api/v1/deliveries/{id}/replay", Deliveries),
    // The link of a message is its own proof: it changes one alert, once.
    open("/ack/{token}"),
    row("POST", "/ack/{token}", Needs::Nothing),
    reads("/api/v1/audit", Audit),
    reads("/api/v1/usage", Usage),
    row("GET", "/api/v1/platform/usage", Needs::Platform),
    // Who may read all of an organisation may change it. A file goes on while its reader may read of chains.
    writes("POST", "/api/v1/organisations/{id}/export", Organisation),
    row("GET", "/api/v1/organisations/{id}/exports/{export}", Needs::Scope(Organisation, Write)),
    row("GET", "/api/v1/organisations/{id}/exports/{export}/file", Needs::AndChains(Organisation, Write)),
    row("DELETE", "/api/v1/organisations/{id}", Needs::Owner),
    row("POST", "/api/v1/organisations/import", Needs::Person),
    row("GET", "/api/v1/platform/tombstones", Needs::Platform),
    row("GET", "/api/v1/organisations", Needs::Somebody),
    row("POST", "/api/v1/organisations", Needs::Person),
    reads("/api/v1/organisations/{id}", Organisation),
    writes("PATCH", "/api/v1/organisations/{id}", Organisation),
    row("POST", "/api/v1/organisations/{id}/transfer", Needs::Owner),
    row("POST", "/api/v1/organisations/{id}/suspend", Needs::Platform),
    row("POST", "/api/v1/organisations/{id}/resume", Needs::Platform),
    row("GET", "/api/v1/platform/organisations", Needs::Platform),
    row("GET", "/api/v1/platform/organisations/{id}", Needs::Platform),
    row("PATCH", "/api/v1/platform/organisations/{id}", Needs::Platform),
    reads("/api/v1/members", Members),
    writes("POST", "/api/v1/members", Members),
    writes("PATCH", "/api/v1/members/{id}", Members),
    // Anybody may leave.
    row("DELETE", "/api/v1/members/{id}", Needs::OrOwn(Members, Write)),
    row("POST", "/api/v1/auth/accept", Needs::Person),
];

static BY_ROUTE: LazyLock<HashMap<&str, Vec<Row>>> = LazyLock::new(|| {
    let mut by_route: HashMap<&str, Vec<Row>> = HashMap::new();
    for row in TABLE {
        by_route.entry(row.route).or_default().push(*row);
    }
    by_route
});

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// What it needs.
    Needs(Needs),
    /// The route has no such method; the rows that it has.
    NoSuchMethod(&'static [Row]),
    /// There is no row for the route at all.
    NoRow,
}

/// What a request needs, by its method and its route as the router has it.
pub fn of(method: &Method, route: &str) -> Said {
    let Some(rows) = BY_ROUTE.get(route) else { return Said::NoRow };
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    match rows.iter().find(|row| row.method == asked || row.method == "*") {
        Some(row) => Said::Needs(row.needs),
        None => Said::NoSuchMethod(rows),
    }
}

/// The methods of these rows, as the header `Allow` lists them.
pub fn allow(rows: &[Row]) -> String {
    let methods = rows.iter().map(|row| if row.method == "GET" { "GET,HEAD" } else { row.method });
    methods.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every route and its methods, out of what the router says of itself: there is no other list of them.
    fn routes() -> Vec<(String, Vec<String>)> {
        let (router, _) = crate::routes::all();
        let text = format!("{router:?}");
        let number = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
        let (routes, paths) = text.split_once("node: Node { paths: {").expect("the router's words");
        let paths = paths.split_once("} }").expect("the end of paths").0;
        let mut found = Vec::new();
        for entry in paths.split("RouteId(").skip(1) {
            let path = entry.split('"').nth(1).expect("a path").to_owned();
            let own = format!("RouteId({}): MethodRouter(", number(entry));
            let rest = routes.split_once(&own).expect("the route").1;
            let rest = rest.split("RouteId(").next().unwrap_or_default();
            let mut methods: Vec<String> = Vec::new();
            for method in ["get", "head", "delete", "options", "patch", "post", "put", "trace", "connect"] {
                let has = rest.split_once(&format!(" {method}: ")).expect("a method").1;
                if !has.starts_with("None") {
                    methods.push(method.to_uppercase());
                }
            }
            found.push((path, methods));
        }
        assert!(found.len() > 20, "{found:?}");
        found
    }

    #[test]
    fn every_route_has_a_row_and_every_row_a_route() {
        let routes = routes();
        for (route, methods) in &routes {
            assert!(!methods.is_empty(), "{route}: the words of the router are not understood");
            for method in methods {
                let method: Method = method.parse().expect("a method");
                let said = of(&method, route);
                assert!(
                    matches!(said, Said::Needs(_)),
                    "{method} {route} has no row in the table of permissions: {said:?}"
                );
            }
        }
        for row in TABLE {
            let served = routes.iter().any(|(route, methods)| {
                route == row.route && (row.method == "*" || methods.iter().any(|m| m == row.method))
            });
            assert!(served, "{row:?} is of no route");
        }
    }

    #[test]
    fn no_row_stands_twice_and_what_changes_something_is_never_open() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..i].iter().all(|r| (r.method, r.route) != (row.method, row.route)), "{row:?} stands twice");
            let open = row.needs == Needs::Nothing;
            let by_itself = ["/registry/", "/api/v1/auth/", "/ack/"];
            let may_be = row.method == "GET" || by_itself.iter().any(|route| row.route.starts_with(route));
            assert!(!open || may_be, "{row:?} changes something, and is open");
        }
    }

    #[test]
    fn head_is_get_and_what_is_not_there_is_shut() {
        assert_eq!(of(&Method::HEAD, "/api/v1/txs"), Said::Needs(Needs::Scope(Chains, Read)));
        assert_eq!(of(&Method::GET, "/api/v1/nothing"), Said::NoRow);
        let Said::NoSuchMethod(rows) = of(&Method::PUT, "/api/v1/keys/{id}") else { panic!("no such method") };
        assert_eq!(allow(rows), "GET,HEAD,PATCH,DELETE");
        assert_eq!(Needs::Scope(Keys, Write).word(), "keys:write");
    }

    #[test]
    fn who_has_one_of_two_scopes_has_not_both() {
        let needs = Needs::AndChains(Rules, Read);
        assert_eq!(needs.word(), "rules:read chains:read");
        let may = |has: &[Resource]| {
            needs.is_met(Is::default(), |resource, action| action == Read && has.contains(&resource))
        };
        assert_eq!((may(&[Rules]), may(&[Chains]), may(&[Rules, Chains])), (false, false, true));
    }

    #[test]
    fn what_a_person_is_no_key_is() {
        let (key, none) = (Is::default(), |_, _| false);
        for needs in [Needs::Person, Needs::Owner, Needs::Platform] {
            assert!(!needs.is_met(key, |_, _| true), "{needs:?}: whatever its scopes");
        }
        let of = |role| Is { role: Some(role), platform: false };
        let operator = Is { role: None, platform: true };
        assert!(Needs::Person.is_met(of(Role::Viewer), none) && !Needs::Person.is_met(operator, none));
        assert!(!Needs::Owner.is_met(of(Role::Admin), |_, _| true) && Needs::Owner.is_met(of(Role::Owner), none));
        assert!(Needs::Owner.is_met(operator, none) && Needs::Platform.is_met(operator, none));
        assert!(!Needs::Platform.is_met(of(Role::Owner), |_, _| true));
        let leave = Needs::OrOwn(Members, Write);
        assert!(leave.is_met(of(Role::Viewer), none) && !leave.is_met(key, none));
        assert_eq!(leave.word(), "members:write or own");
    }
}
