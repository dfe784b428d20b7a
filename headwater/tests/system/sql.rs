//! The queries of docs/sql.md as an analyst types them, over recorded blocks of chains that fork; and where the API says that
//! the store is.

use crate::common::{Headwater, Net, number, recorded};
use loadtest::node::evm::{Clock, Config, Dataset, spawn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_document_works_as_typed() {
    let mut nodes = Vec::new();
    for chain in ["ethereum", "optimism"] {
        let data = Dataset::from_dir(recorded().join(chain)).expect("recorded blocks");
        let history = 2 * data.blocks().len() as u64;
        let config = Config { clock: Clock::Manual, history, ..Config::new(data) };
        nodes.push((chain, spawn(config).await.expect("simulator")));
    }
    let nets: Vec<Net> = nodes.iter().map(|(slug, node)| Net::of(slug, node)).collect();
    let mut headwater = Headwater::new(&nets);
    headwater.start();
    let tip =
        |node: &loadtest::node::evm::Simulator| node.canonical(node.head()..=node.head()).remove(0).hash.to_string();
    for (slug, node) in &nodes {
        headwater.until_visible(slug, &tip(node)).await;
        node.fork_and_advance(3, 1).expect("fork");
        headwater.until_visible(slug, &tip(node)).await;
    }

    let examples = store::query::examples();
    assert_eq!(examples.len(), 12);
    for example in &examples {
        let rows = headwater.query(&example.sql).await.unwrap_or_else(|e| panic!("{}: {e}", example.title));
        assert!(!rows.is_empty(), "{} has no row", example.title);
        for row in &rows {
            match example.title.as_str() {
                "Is any event missing" => assert_eq!(number(row, "missing"), 0, "{row}"),
                "Which heights are held whole" => assert_eq!(number(row, "complete"), 1, "{row}"),
                "Reorgs and how deep they were" => assert_eq!(number(row, "depth"), 3, "{row}"),
                _ => {}
            }
        }
    }
    let told = headwater.get("/sql").await.expect("/sql");
    assert_eq!(told["url"].as_str(), Some(headwater.sql.as_str()));
    let texts: Vec<&str> =
        told["queries"].as_array().expect("queries").iter().filter_map(|q| q["sql"].as_str()).collect();
    assert_eq!(texts, examples.iter().map(|e| e.sql.as_str()).collect::<Vec<_>>());
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
