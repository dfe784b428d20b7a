//! Pages: the dashboard, its fall-back, the documentation, and the headers that protect them.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_nothing_from_elsewhere_and_are_protected() {
    let world = World::without_sink(&[]).await;
    let api = world.api().await;
    let docs = api.get("/docs").await;
    assert_eq!((docs.status, docs.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in ["/docs/docs.js", "/docs/docs.css"] {
        let answer = api.get(part).await;
        assert_eq!(answer.status, 200, "{part}");
        for text in [docs.text(), answer.text()] {
            assert!(!text.contains("http://") && !text.contains("https://"), "{part} refers to elsewhere");
        }
    }
    for target in ["/", "/docs", "/api/v1/openapi.json", "/api/v1/nothing", "/missing.js", "/problems/not-found"] {
        let answer = api.get(target).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{target} has no policy"));
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src"), "{target}: {policy}");
        assert!(!policy.contains("unsafe-eval"), "{target}: {policy}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
    }
    // The app's own path gets its page; whatever else is not there does not, and is no HTML.
    let page = api.get("/?network=a").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for target in [
        "/missing.js",
        "/api/v2/health",
        "/networks",
        "/txs/a",
        "/metrics",
        "/log/raw.blocks",
        "/../../etc/passwd",
        "/%2e%2e/",
    ] {
        let answer = api.get(target).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")), "{target}");
        let admin = answer.text().contains("[admin] listen");
        assert_eq!(admin, ["/metrics", "/log/raw.blocks"].contains(&target), "{target}: {}", answer.text());
    }
    api.stop().await;
}

/// With a built dashboard: every file that the page names is served with the right type, and can be kept.
#[tokio::test(flavor = "multi_thread")]
async fn the_dashboards_files_are_served_as_they_are() {
    let world = World::without_sink(&[]).await;
    let api = world.api().await;
    let (page, sql, thing) = (api.get("/").await, api.get("/sql").await, api.get("/txs/op-mainnet/0xab").await);
    for header in ["content-type", "content-security-policy"] {
        assert_eq!(page.header(header), sql.header(header), "{header}");
        assert_eq!(page.header(header), thing.header(header), "{header}");
    }
    let thing = thing.text();
    let (page, sql) = (page.text(), sql.text());
    // The page of a thing may lie at any depth: it names its files from the root.
    let deep = thing.split('"').filter_map(|part| part.strip_prefix('/'));
    let named = [&page, &sql].into_iter().flat_map(|text| text.split('"')).filter_map(|part| part.strip_prefix("./"));
    let named: Vec<&str> = named.chain(deep.clone()).filter(|p| p.contains('.')).collect();
    if named.is_empty() {
        assert!(page.contains("make dashboard"), "an unbuilt dashboard says how to build it: {page}");
    } else {
        assert!(deep.count() > 0 && !thing.contains("\"./"), "{thing}");
        assert!(sql.contains("<title>SQL · Headwater</title>") && page.contains("<title>Headwater</title>"));
    }
    if !named.is_empty() {
        let icon = api.get("/favicon.ico").await;
        assert_eq!((icon.status, icon.header("content-type")), (200, Some("image/svg+xml")));
    }
    for path in named {
        let answer = api.get(&format!("/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = answer.header("content-type").expect("a type").to_owned();
        match path.rsplit('.').next() {
            Some("js") => assert!(kind.starts_with("text/javascript"), "{path}: {kind}"),
            Some("css") => assert!(kind.starts_with("text/css"), "{path}: {kind}"),
            Some("svg") => assert!(kind.starts_with("image/svg+xml"), "{path}: {kind}"),
            _ => {}
        }
        let kept = answer.header("cache-control").expect("a rule").to_owned();
        assert_eq!(kept.contains("immutable"), path.starts_with("_app/immutable/"), "{path}: {kept}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = api.get_with(&format!("/{path}"), &[("If-None-Match", &tag)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    api.stop().await;
}
