//! The conversation with the issuer, in `openidconnect`'s words.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreJwsSigningAlgorithm,
    CoreTokenResponse,
};
use openidconnect::{
    AuthenticationContextClass, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    TokenResponse as _,
};
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::SignInSettings;
use crate::auth::fetch::Fetcher;
use crate::auth::{AuthFault, IssuerConfig};
use crate::base::{Deadline, SecretText, Timestamp};

/// How long the issuer's description of itself is used before it is asked again. A key that was changed in
/// between costs one sign-in.
const DESCRIBED: Duration = Duration::from_mins(1);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The issuer, as the panel's client sees it.
pub(super) struct Provider {
    issuer: IssuerUrl,
    client_id: ClientId,
    secret: ClientSecret,
    redirect: RedirectUrl,
    signed_out: Option<PostLogoutRedirectUrl>,
    /// How strongly people are to sign in; the issuer's own way when empty.
    acr_values: Vec<String>,
    fetcher: Fetcher,
    described: Mutex<Option<(Instant, Arc<ProviderMetadataWithLogout>)>>,
}

/// What must fit when the browser comes back.
pub(super) struct Known {
    state: CsrfToken,
    nonce: Nonce,
    verifier: SecretText,
}

impl Known {
    pub(super) fn is_state(&self, state: &str) -> bool {
        self.state.secret() == state
    }

    pub(super) fn state(&self) -> &str {
        self.state.secret()
    }
}

/// What the issuer said of somebody, verified.
pub(super) struct Said {
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) signed_in: Timestamp,
    pub(super) id_token: CoreIdToken,
    pub(super) access: SecretText,
    pub(super) refresh: Option<SecretText>,
}

/// 256 random bits as text.
pub(super) fn random() -> SecretText {
    SecretText::new(CsrfToken::new_random_len(32).secret().clone())
}

const fn away(reason: &'static str) -> AuthFault {
    AuthFault::Unavailable { reason, retry_after_secs: 5 }
}

impl Provider {
    pub(super) fn new(issuer: &IssuerConfig, settings: SignInSettings) -> Result<Self, AuthFault> {
        let wrong = |what| AuthFault::Configuration { issuer: issuer.url.clone(), what };
        let address = |_| wrong("[admin] public_url is not a URL");
        let signed_out = settings.signed_out_url.map(PostLogoutRedirectUrl::new);
        Ok(Self {
            issuer: IssuerUrl::new(issuer.url.clone()).map_err(|_| wrong("not a URL"))?,
            client_id: ClientId::new(settings.client_id),
            secret: ClientSecret::new(settings.client_secret.expose().to_owned()),
            redirect: RedirectUrl::new(settings.redirect_url).map_err(address)?,
            signed_out: signed_out.transpose().map_err(address)?,
            acr_values: issuer.admin_acr_values.clone(),
            fetcher: Fetcher::new(issuer)?,
            described: Mutex::default(),
        })
    }

    pub(super) fn origin(&self) -> String {
        Url::parse(self.issuer.as_str())
            .map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }

    /// The client's id there.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where to send the browser, and what to hold against its return.
    pub(super) async fn ask(
        &self,
        again: bool,
        deadline: Deadline,
    ) -> Result<(String, Known), AuthFault> {
        let client = self.client(deadline).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(32),
                || Nonce::new_random_len(32),
            )
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge);
        for acr in &self.acr_values {
            request = request.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
        }
        if again {
            request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO);
        }
        let (url, state, nonce) = request.url();
        let verifier = SecretText::new(verifier.into_secret());
        Ok((url.into(), Known { state, nonce, verifier }))
    }

    /// Redeems a code and verifies the ID token that comes of it.
    pub(super) async fn redeem(
        &self,
        code: &str,
        known: &Known,
        deadline: Deadline,
    ) -> Result<Said, AuthFault> {
        let client = self.client(deadline).await?;
        let http = self.fetcher.for_sign_in();
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| away("issuer_names_no_token_endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(known.verifier.expose().to_owned()));
        let asked = timeout_at(deadline.at(), request.request_async(&http)).await;
        let answer = asked.map_err(|_| away("issuer_slow"))?.map_err(|f| refused(&f))?;
        let id_token = answer.id_token().ok_or(AuthFault::InvalidToken("id_token_missing"))?;
        // By the issuer's published keys only: a secret both sides know signs nothing.
        let verifier = client.id_token_verifier().set_allowed_algs([
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            CoreJwsSigningAlgorithm::RsaSsaPssSha256,
            CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            CoreJwsSigningAlgorithm::EdDsa,
        ]);
        let claims = id_token
            .claims(&verifier, &known.nonce)
            .map_err(|_| AuthFault::InvalidToken("id_token_does_not_verify"))?;
        let subject = claims.subject().as_str().to_owned();
        let name = claims.preferred_username().map_or_else(|| subject.clone(), |n| n.to_string());
        let (access, refresh) = tokens(&answer);
        Ok(Said {
            name: name.chars().filter(|c| !c.is_control()).take(80).collect(),
            subject,
            // An issuer that does not say when counts as never fresh.
            signed_in: Timestamp::from_secs(claims.auth_time().map_or(0, |at| at.timestamp())),
            id_token: id_token.clone(),
            access,
            refresh,
        })
    }

    /// A new access token, and the refresh token to use after this one.
    pub(super) async fn refresh(
        &self,
        refresh: &SecretText,
        deadline: Deadline,
    ) -> Result<(SecretText, Option<SecretText>), AuthFault> {
        let client = self.client(deadline).await?;
        let http = self.fetcher.for_sign_in();
        let token = RefreshToken::new(refresh.expose().to_owned());
        let request = client
            .exchange_refresh_token(&token)
            .map_err(|_| away("issuer_names_no_token_endpoint"))?;
        let asked = timeout_at(deadline.at(), request.request_async(&http)).await;
        let answer = asked.map_err(|_| away("issuer_slow"))?.map_err(|f| refused(&f))?;
        Ok(tokens(&answer))
    }

    /// Where the browser signs out (OpenID Connect RP-Initiated Logout 1.0), if the issuer offers it.
    pub(super) async fn sign_out_url(
        &self,
        id_token: &CoreIdToken,
        deadline: Deadline,
    ) -> Option<String> {
        let described = self.described(deadline).await.ok()?;
        let end = described.additional_metadata().end_session_endpoint.clone()?;
        let request = LogoutRequest::from(end)
            .set_id_token_hint(id_token)
            .set_client_id(self.client_id.clone());
        let request = match &self.signed_out {
            Some(back) => request.set_post_logout_redirect_uri(back.clone()),
            None => request,
        };
        Some(request.http_get_url().into())
    }

    async fn client(&self, deadline: Deadline) -> Result<Client, AuthFault> {
        let described = self.described(deadline).await?;
        let secret = Some(self.secret.clone());
        let client = CoreClient::from_provider_metadata(
            ProviderMetadataWithLogout::clone(&described),
            self.client_id.clone(),
            secret,
        );
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }

    /// The issuer's discovery document with its keys, asked for by one caller at a time.
    async fn described(
        &self,
        deadline: Deadline,
    ) -> Result<Arc<ProviderMetadataWithLogout>, AuthFault> {
        let work = async {
            let mut held = self.described.lock().await;
            if let Some((at, described)) = held.as_ref()
                && at.elapsed() < DESCRIBED
            {
                return Ok(Arc::clone(described));
            }
            let http = self.fetcher.for_sign_in();
            let asked = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &http);
            let described = Arc::new(asked.await.map_err(|_| away("issuer_not_discovered"))?);
            *held = Some((Instant::now(), Arc::clone(&described)));
            Ok(described)
        };
        timeout_at(deadline.at(), work).await.map_err(|_| away("issuer_slow"))?
    }
}

fn tokens(answer: &CoreTokenResponse) -> (SecretText, Option<SecretText>) {
    let secret = |text: &String| SecretText::new(text.clone());
    let refresh = answer.refresh_token().map(|token| secret(token.secret()));
    (secret(answer.access_token().secret()), refresh)
}

fn refused<E: std::error::Error + 'static, R: openidconnect::ErrorResponse + 'static>(
    fault: &RequestTokenError<E, R>,
) -> AuthFault {
    match fault {
        RequestTokenError::ServerResponse(_) => AuthFault::InvalidToken("issuer_refused"),
        RequestTokenError::Request(_) => away("issuer_unreachable"),
        _ => away("answer_not_understood"),
    }
}
