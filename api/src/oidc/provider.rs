//! One provider.

use std::{sync::Arc, time::Duration};

use control::Visit;
use futures::future::BoxFuture;
use openidconnect::{
    AuthType, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SubjectIdentifier,
    TokenResponse,
    core::{
        CoreClient, CoreClientAuthMethod, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreTokenResponse, CoreUserInfoClaims,
    },
};
use runtime::config;
use schemas::{TimeMs, limits::people as limits};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    Problem,
    http::{Http, Trouble},
};

/// The library's client, as what a provider says of itself makes it.
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Algorithms that a token may be signed by: none with a secret of ours, so that no public key is ever taken for one.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 6] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// A provider that did not answer is left alone for so long.
const REST: Duration = Duration::from_secs(2);

/// Somebody, as a provider knows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls him: for ever, and nobody else.
    pub subject: String,
    /// His address, where it is known to be his.
    pub email: Option<String>,
    /// What he is called.
    pub name: Option<String>,
}

/// A provider.
pub struct Provider {
    config: config::Provider,
    http: Http,
    redirect: RedirectUrl,
    issuer: IssuerUrl,
    /// Whether it is one of this machine, without TLS.
    plain: bool,
    known: Mutex<Known>,
}

/// What a provider says of itself, and when it was asked.
#[derive(Default)]
struct Known {
    told: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed: Option<Instant>,
}

impl Provider {
    pub(super) fn new(config: config::Provider, http: Http, base: &Url) -> Option<Self> {
        let back = base.join(&format!("/api/v1/auth/oidc/{}/callback", config.id)).ok()?;
        let issuer = IssuerUrl::new(config.issuer.clone()).ok()?;
        let plain = issuer.url().scheme() == "http";
        Some(Self { redirect: RedirectUrl::from_url(back), issuer, plain, http, config, known: Mutex::default() })
    }

    /// Its id in the configuration.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Its issuer, as the configuration has it.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Where a browser goes, and what it has to bring back. `back`, `invitation` and `links` are the visit's.
    ///
    /// # Errors
    /// [`Problem::Away`].
    pub async fn begin(
        &self,
        back: String,
        invitation: Option<String>,
        links: Option<String>,
    ) -> Result<(Url, Visit), Problem> {
        let known = self.known(false).await?;
        let client = self.client(&known);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(challenge);
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let visit = Visit {
            provider: self.config.id.clone(),
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            back,
            invitation,
            links,
            ends: TimeMs::now().0 + limits::PROVIDER_VISIT.as_millis() as i64,
        };
        Ok((url, visit))
    }

    /// Who it was, by the code that the browser brought back.
    ///
    /// # Errors
    /// [`Problem::Away`], [`Problem::Answer`].
    pub async fn finish(&self, visit: &Visit, code: String) -> Result<Stranger, Problem> {
        let known = self.known(false).await?;
        let client = self.client(&known);
        let ask = self.ask();
        let exchange = client.exchange_code(AuthorizationCode::new(code)).map_err(|e| self.odd(&e.to_string()))?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(visit.verifier.clone()));
        let tokens = exchange.request_async(&ask).await.map_err(|e| match e {
            RequestTokenError::Request(trouble) => self.trouble(&trouble),
            // The others may hold what the provider answered, which nobody needs in a log.
            RequestTokenError::ServerResponse(_) => self.odd("it does not take the code"),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => self.odd("its answer is no token"),
        })?;
        let mut stranger = match self.read(&client, &tokens, &visit.nonce) {
            Ok(stranger) => stranger,
            // Its keys may be others since.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let known = self.known(true).await?;
                let client = self.client(&known);
                self.read(&client, &tokens, &visit.nonce).map_err(|e| self.odd(&e.to_string()))?
            }
            Err(e) => return Err(self.odd(&e.to_string())),
        };
        if stranger.subject.is_empty() || stranger.subject.len() > limits::SUBJECT {
            return Err(self.odd("its subject is empty or too long"));
        }
        if stranger.email.is_none() && known.userinfo_endpoint().is_some() {
            stranger = self.ask_further(&client, &tokens, stranger).await?;
        }
        Ok(stranger)
    }

    /// What the token says, if it is good.
    fn read(
        &self,
        client: &Client,
        tokens: &CoreTokenResponse,
        nonce: &str,
    ) -> Result<Stranger, ClaimsVerificationError> {
        let missing = || ClaimsVerificationError::Other("there is no ID token".to_owned());
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        let token = tokens.id_token().ok_or_else(missing)?;
        let claims: &CoreIdTokenClaims = token.claims(&verifier, &Nonce::new(nonce.to_owned()))?;
        let verified = claims.email_verified();
        Ok(Stranger {
            issuer: self.config.issuer.clone(),
            subject: claims.subject().as_str().to_owned(),
            email: claims.email().map(|email| email.as_str().to_owned()).filter(|_| self.is_his(verified)),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
        })
    }

    /// Some providers put the address into their other answer alone.
    async fn ask_further(
        &self,
        client: &Client,
        tokens: &CoreTokenResponse,
        stranger: Stranger,
    ) -> Result<Stranger, Problem> {
        let ask = self.ask();
        let subject = SubjectIdentifier::new(stranger.subject.clone());
        let request = client.user_info(tokens.access_token().clone(), Some(subject));
        let request = request.map_err(|e| self.odd(&e.to_string()))?;
        let told: Result<CoreUserInfoClaims, _> = request.request_async(&ask).await;
        let Ok(claims) = told else { return Ok(stranger) };
        let verified = claims.email_verified();
        let email = claims.email().map(|email| email.as_str().to_owned()).filter(|_| self.is_his(verified));
        let name = claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned());
        Ok(Stranger { email, name: stranger.name.or(name), ..stranger })
    }

    /// Whether an address is known to be of whom the provider names.
    fn is_his(&self, verified: Option<bool>) -> bool {
        verified.unwrap_or(self.config.trust_email)
    }

    fn client(&self, known: &CoreProviderMetadata) -> Client {
        let secret = self.config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let id = ClientId::new(self.config.client_id.clone());
        let client = CoreClient::from_provider_metadata(known.clone(), id, secret);
        let methods = known.token_endpoint_auth_methods_supported();
        // Basic is what holds where a provider says nothing (Discovery 1.0, section 3).
        let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let way = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        client.set_redirect_uri(self.redirect.clone()).set_auth_type(way)
    }

    /// What the provider says of itself; with `anew` asked for again, unless that was just done.
    async fn known(&self, anew: bool) -> Result<Arc<CoreProviderMetadata>, Problem> {
        let mut known = self.known.lock().await;
        if let Some((told, at)) = &known.told {
            let age = at.elapsed();
            if age < limits::PROVIDER_EVERY || age < limits::PROVIDER_FRESH && !anew {
                return Ok(Arc::clone(told));
            }
        }
        let resting = known.failed.is_some_and(|at| at.elapsed() < REST);
        let asked = match resting {
            true => Err(Problem::Away),
            false => self.discover().await,
        };
        match asked {
            Ok(told) => {
                let told = Arc::new(told);
                *known = Known { told: Some((Arc::clone(&told), Instant::now())), failed: None };
                Ok(told)
            }
            Err(problem) => {
                if !resting {
                    known.failed = Some(Instant::now());
                }
                // Old keys verify what they did, and nothing else.
                known.told.as_ref().map(|(told, _)| Arc::clone(told)).ok_or(problem)
            }
        }
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, Problem> {
        let ask = self.ask();
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &ask).await;
        let told = found.map_err(|e| match e {
            DiscoveryError::Request(trouble) => self.trouble(&trouble),
            DiscoveryError::Validation(why) => self.odd(&why),
            _ => self.odd("what it says of itself cannot be read"),
        })?;
        // A browser is sent there.
        let scheme = told.authorization_endpoint().url().scheme().to_owned();
        match scheme == "https" || self.plain && scheme == "http" {
            true => Ok(told),
            false => Err(self.odd("its authorization endpoint is no https URL")),
        }
    }

    /// Our HTTP client, as the library wants it.
    fn ask(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, Trouble>> + Send + Sync + 'static {
        let (http, plain) = (self.http.clone(), self.plain);
        move |request| {
            let http = http.clone();
            Box::pin(async move { http.ask(request, plain).await })
        }
    }

    fn trouble(&self, trouble: &Trouble) -> Problem {
        tracing::warn!(provider = self.config.id, %trouble, "a provider cannot be asked");
        Problem::Away
    }

    fn odd(&self, why: &str) -> Problem {
        tracing::warn!(provider = self.config.id, why, "what a provider answered is not taken");
        Problem::Answer
    }
}
