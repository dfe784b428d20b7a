//! The built-in schema registry, as stock Avro clients ask it.

use schemas::{codec::Codec, topics};
use serde_json::json;

use crate::{http::exchange, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_found_by_id_and_by_subject_and_nothing_can_be_written() {
    let world = World::without_sink(&[]).await;
    let api = world.api().await;
    for spec in topics::KNOWN {
        let id = Codec::builtin().id_of(spec.name).expect("an id");
        let by_id = api.get(&format!("/registry/schemas/ids/{id}")).await;
        assert_eq!(by_id.header("content-type"), Some("application/vnd.schemaregistry.v1+json"));
        let text = by_id.json()["schema"].as_str().expect("a schema").to_owned();

        let subject = format!("headwater.{}-value", spec.name);
        let latest = api.get(&format!("/registry/subjects/{subject}/versions/latest")).await.json();
        assert_eq!((&latest["id"], &latest["schema"]), (&json!(id), &json!(text)));
        // Looked up by its text, however it is spaced.
        let spaced = serde_json::from_str::<serde_json::Value>(&text).expect("JSON").to_string();
        let body = json!({ "schema": spaced }).to_string();
        let target = format!("/registry/subjects/{subject}");
        let found = exchange(api.at, "POST", &target, &[], body.as_bytes()).await;
        assert_eq!((found.status, &found.json()["id"]), (200, &json!(id)), "{}", found.text());
    }
    let subjects = api.get("/registry/subjects").await.json();
    assert_eq!(subjects.as_array().expect("a list").len(), topics::KNOWN.len());

    let other = json!({ "schema": "\"string\"" }).to_string();
    for (method, target, status, code) in [
        ("GET", "/registry/schemas/ids/999999", 404, 40_403),
        ("GET", "/registry/subjects/nobody-value/versions", 404, 40_401),
        ("GET", "/registry/subjects/headwater.raw.blocks-value/versions/99", 404, 40_402),
        ("POST", "/registry/subjects/headwater.raw.blocks-value", 404, 40_403),
        ("POST", "/registry/subjects/headwater.raw.blocks-value/versions", 403, 40_301),
        ("PUT", "/registry/config", 403, 40_301),
        ("DELETE", "/registry/subjects/headwater.raw.blocks-value", 403, 40_301),
    ] {
        let answer = exchange(api.at, method, target, &[], other.as_bytes()).await;
        assert_eq!((answer.status, &answer.json()["error_code"]), (status, &json!(code)), "{method} {target}");
    }
    api.stop().await;
}
