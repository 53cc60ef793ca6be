//! Sending traces to a collector over OTLP/HTTP.

use std::time::Duration;

use metrics::counter;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::fault::StartFault;
use crate::config::TelemetrySettings;
use crate::telemetry::trace::Finished;
use crate::telemetry::{Recurring, names, otlp};

/// Requests in one message at most.
const BATCH: usize = 256;
/// How long a request waits for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// The longest a collector may take for one message.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest the end of the gateway waits for it.
const LAST: Duration = Duration::from_secs(1);

/// Where traces go.
pub(super) struct Exporter {
    client: reqwest::Client,
    url: reqwest::Url,
    authorization: Option<HeaderValue>,
    instance: String,
    failing: Recurring,
}

impl Exporter {
    /// An exporter to that endpoint, whose path is `/v1/traces` below it.
    pub(super) fn new(
        endpoint: &str,
        settings: &TelemetrySettings,
        instance: &str,
    ) -> Result<Self, StartFault> {
        let wrong = |what: &str| StartFault::Setting(format!("telemetry.{what}"));
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let url = url.parse().map_err(|_| wrong("otlp_endpoint: not a URL"))?;
        let header = |secret: &crate::base::SecretText| {
            let mut value = HeaderValue::from_str(secret.expose())
                .map_err(|_| wrong("otlp_authorization: not a header's value"))?;
            value.set_sensitive(true);
            Ok::<_, StartFault>(value)
        };
        let authorization = settings.otlp_authorization.as_ref().map(header).transpose()?;
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|_| wrong("otlp_endpoint: no client can be made"))?;
        let instance = instance.to_owned();
        Ok(Self { client, url, authorization, instance, failing: Recurring::default() })
    }

    /// Sends what comes until `stop`, and then what is there.
    pub(super) async fn run(mut self, mut from: mpsc::Receiver<Finished>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while stop
            .run_until_cancelled(from.recv_many(&mut batch, BATCH))
            .await
            .is_some_and(|n| n > 0)
        {
            // More come soon; one message for all of them.
            if batch.len() < BATCH {
                stop.run_until_cancelled(sleep(GATHER)).await;
                while batch.len() < BATCH
                    && let Ok(more) = from.try_recv()
                {
                    batch.push(more);
                }
            }
            let late = async {
                stop.cancelled().await;
                sleep(LAST).await;
            };
            tokio::select! {
                () = self.send(&batch) => {}
                () = late => return,
            }
            batch.clear();
        }
        while let Ok(more) = from.try_recv() {
            batch.push(more);
        }
        if !batch.is_empty() {
            let _in_time = timeout(LAST, self.send(&batch)).await;
        }
    }

    async fn send(&mut self, batch: &[Finished]) {
        let body = otlp::export(batch, &self.instance).to_string();
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let sent = request.body(body).send().await;
        let taken = sent.is_ok_and(|answer| answer.status().is_success());
        let count = batch.len() as u64;
        if taken {
            counter!(names::TRACES_SENT).increment(count);
            if let Some(times) = self.failing.succeeded() {
                tracing::info!(target: "wardgate::app", times, "the collector takes traces again");
            }
        } else {
            counter!(names::TRACES_DROPPED, "reason" => "collector").increment(count);
            if let Some(times) = self.failing.failed() {
                tracing::warn!(target: "wardgate::app", times, "the collector does not take traces; they are dropped");
            }
        }
    }
}
