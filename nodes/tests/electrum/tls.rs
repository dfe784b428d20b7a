//! TLS: certificates that are signed by nobody, believed at first sight or by their fingerprint.

use std::sync::Arc;

use nodes::{
    NodeErrorKind,
    bitcoin::{
        Endpoint,
        electrum::{ElectrumClient, fingerprint},
    },
};
use schemas::bitcoin::BitcoinChain;
use tokio_rustls::{TlsAcceptor, rustls};

use super::{server::Server, tuning};

/// A server with a certificate of its own, and its fingerprint.
async fn secured() -> (Arc<Server>, [u8; 32]) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["e.example".to_owned()]).unwrap();
    let print = fingerprint(cert.der());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Server::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await, print)
}

fn client(endpoint: Endpoint) -> ElectrumClient {
    ElectrumClient::new(endpoint, BitcoinChain::Main, tuning()).unwrap()
}

#[tokio::test]
async fn a_fingerprint_decides() {
    let (server, print) = secured().await;
    let endpoint = Endpoint::new("a", server.url().parse().unwrap());
    let right = client(Endpoint { fingerprint: Some(print), ..endpoint.clone() });
    assert_eq!(right.tip().await.unwrap().0, 100);
    assert_eq!(right.link().protocol, "electrum tls");
    let wrong = client(Endpoint { fingerprint: Some([7; 32]), ..endpoint });
    let error = wrong.tip().await.unwrap_err();
    assert!(matches!(&error.kind, NodeErrorKind::Unreachable(why) if why.contains("fingerprint")), "{error}");
}

#[tokio::test]
async fn what_is_seen_first_is_believed_also_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("headwater-electrum-{}", fastrand::u64(..)));
    let (server, print) = secured().await;
    let url: url::Url = server.url().parse().unwrap();
    let endpoint = Endpoint { certificates: Some(folder.clone()), ..Endpoint::new("a", url.clone()) };
    client(endpoint.clone()).tip().await.unwrap();
    client(endpoint.clone()).tip().await.unwrap();
    let file = folder.join(format!("127.0.0.1_{}.sha256", url.port().unwrap()));
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), const_hex::encode(print));
    // Somebody else at the same place.
    std::fs::write(&file, const_hex::encode([7; 32])).unwrap();
    let error = client(endpoint.clone()).tip().await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("certificate changed") && told.contains(&const_hex::encode(print)), "{told}");
    assert!(client(endpoint).subscribe().await.is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
