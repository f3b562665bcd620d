//! [`LakeClient`]: the object store that a location lies in, with time-outs and credentials, and reads and writes of whole files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig, StaticCredentialProvider,
};

use super::error::LakeError;
use super::location::{LakeLocation, Root};
use super::settings::{AzureIdentity, LakeSettings, is_http};
use crate::connection::{Secret, SecretText};

/// A larger file is read and written in parts of this size: what a slow link carries within one request's time-out.
const PART_BYTES: u64 = 8 << 20;

/// A location and how to get at it. Nothing is connected before it is used.
#[derive(Debug)]
pub(super) struct LakeClient {
    location: LakeLocation,
    settings: Arc<LakeSettings>,
    built: Mutex<Option<Built>>,
}

/// A store, and the secrets that it was built with.
#[derive(Debug)]
struct Built {
    secrets: Vec<SecretText>,
    store: Arc<dyn ObjectStore>,
}

impl LakeClient {
    pub fn new(location: LakeLocation, settings: Arc<LakeSettings>) -> Self {
        Self { location, settings, built: Mutex::new(None) }
    }

    /// A client of `store`, which was built elsewhere and takes no secrets of ours.
    pub fn of_store(store: Arc<dyn ObjectStore>, location: LakeLocation, settings: Arc<LakeSettings>) -> Self {
        Self { location, settings, built: Mutex::new(Some(Built { secrets: Vec::new(), store })) }
    }

    pub fn location(&self) -> &LakeLocation {
        &self.location
    }

    pub fn settings(&self) -> &LakeSettings {
        &self.settings
    }

    /// How `path` is written in messages.
    pub fn name(&self, path: &ObjectPath) -> String {
        self.location.display(path)
    }

    /// The store, with the secrets as they are now: built anew when one of them has changed.
    pub fn store(&self) -> Result<Arc<dyn ObjectStore>, LakeError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = match &*built {
            Some(now) if now.secrets.is_empty() => return Ok(now.store.clone()),
            _ => self.secrets()?,
        };
        match &*built {
            Some(now) if now.secrets == secrets => Ok(now.store.clone()),
            _ => {
                let store = self.build(&secrets)?;
                *built = Some(Built { secrets, store: store.clone() });
                Ok(store)
            }
        }
    }

    /// The secrets that the location's scheme is configured with, in the order in which `build` takes them.
    fn secrets(&self) -> Result<Vec<SecretText>, LakeError> {
        let (azure, s3, gcs) = (&self.settings.azure, &self.settings.s3, &self.settings.gcs);
        let places: Vec<(&str, &Option<Secret>)> = match self.location.root {
            Root::Local => vec![],
            Root::Azure { .. } => vec![("lake.azure.access_key", &azure.access_key), ("lake.azure.sas_token", &azure.sas_token)],
            Root::S3 { .. } => vec![
                ("lake.s3.access_key_id", &s3.access_key_id),
                ("lake.s3.secret_access_key", &s3.secret_access_key),
                ("lake.s3.session_token", &s3.session_token),
            ],
            Root::Gcs { .. } => vec![("lake.gcs.service_account_key", &gcs.service_account_key)],
        };
        let read = |(setting, place): (&str, &Option<Secret>)| place.as_ref().map(|secret| secret.read(setting));
        places.into_iter().filter_map(read).collect::<Result<_, _>>().map_err(LakeError::Secret)
    }

    fn build(&self, secrets: &[SecretText]) -> Result<Arc<dyn ObjectStore>, LakeError> {
        let built = match &self.location.root {
            Root::Local => Ok(Arc::new(LocalFileSystem::new()) as Arc<dyn ObjectStore>),
            Root::Azure { account, domain, container } => self.azure(account, domain, container, secrets),
            Root::S3 { bucket } => self.s3(bucket, secrets),
            Root::Gcs { bucket } => self.gcs(bucket, secrets),
        };
        built.map_err(|source| LakeError::Settings { location: self.location.to_string(), source })
    }

    fn options(&self, endpoint: Option<&str>) -> ClientOptions {
        ClientOptions::new()
            .with_connect_timeout(self.settings.connect_timeout())
            .with_timeout(self.settings.request_timeout())
            .with_allow_http(is_http(endpoint))
    }

    /// A few quick tries: whoever waits for longer is the flow, which says so.
    fn retry(&self) -> RetryConfig {
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
        RetryConfig { backoff, max_retries: self.settings.retries_max, retry_timeout: self.settings.request_timeout() }
    }

    fn azure(&self, account: &str, domain: &str, container: &str, secrets: &[SecretText]) -> object_store::Result<Arc<dyn ObjectStore>> {
        let settings = &self.settings.azure;
        let endpoint = settings.endpoint.clone().unwrap_or_else(|| format!("https://{account}.blob.{domain}"));
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_container_name(container)
            .with_client_options(self.options(Some(&endpoint)))
            .with_endpoint(endpoint)
            .with_retry(self.retry());
        let secret = secrets.first().map(SecretText::expose);
        builder = match (secret, settings.access_key.is_some(), settings.identity) {
            (Some(key), true, _) => builder.with_access_key(key),
            (Some(token), false, _) => builder.with_config(AzureConfigKey::SasKey, token),
            (None, _, AzureIdentity::Anonymous) => builder.with_skip_signature(true),
            (None, _, AzureIdentity::Managed) => {
                with_variables(builder, &["AZURE_CLIENT_ID", "IDENTITY_ENDPOINT"], |b, k, v| b.with_config(k, v))
            }
            (None, _, AzureIdentity::Workload) => {
                let variables = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"];
                with_variables(builder, &variables, |b, k, v| b.with_config(k, v))
            }
        };
        if let Some(id) = &settings.client_id {
            builder = builder.with_client_id(id);
        }
        if let Some(id) = &settings.tenant_id {
            builder = builder.with_tenant_id(id);
        }
        if let Some(file) = &settings.federated_token_file {
            builder = builder.with_federated_token_file(file.to_string_lossy());
        }
        Ok(Arc::new(builder.build()?))
    }

    fn s3(&self, bucket: &str, secrets: &[SecretText]) -> object_store::Result<Arc<dyn ObjectStore>> {
        let settings = &self.settings.s3;
        let endpoint = settings.endpoint.as_deref();
        let path_style = settings.path_style.unwrap_or(endpoint.is_some());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(settings.region.as_deref().unwrap_or("us-east-1"))
            .with_virtual_hosted_style_request(!path_style)
            .with_skip_signature(settings.anonymous)
            .with_client_options(self.options(endpoint))
            .with_retry(self.retry());
        if let Some(endpoint) = endpoint {
            // object_store wants the bucket in the host where it is to be there.
            let hosted = endpoint.split_once("://").map(|(scheme, host)| format!("{scheme}://{bucket}.{host}"));
            builder = builder.with_endpoint(hosted.filter(|_| !path_style).unwrap_or_else(|| endpoint.to_owned()));
        }
        if let [id, key, token @ ..] = secrets {
            builder = builder.with_access_key_id(id.expose()).with_secret_access_key(key.expose());
            if let [token] = token {
                builder = builder.with_token(token.expose());
            }
        } else if !settings.anonymous {
            let variables = [
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_ROLE_ARN",
                "AWS_ROLE_SESSION_NAME",
                "AWS_ENDPOINT_URL_STS",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ];
            builder = with_variables(builder, &variables, |b, k: AmazonS3ConfigKey, v| b.with_config(k, v));
        }
        Ok(Arc::new(builder.build()?))
    }

    fn gcs(&self, bucket: &str, secrets: &[SecretText]) -> object_store::Result<Arc<dyn ObjectStore>> {
        let settings = &self.settings.gcs;
        let endpoint = settings.endpoint.as_deref();
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(bucket)
            .with_skip_signature(settings.anonymous)
            .with_client_options(self.options(endpoint))
            .with_retry(self.retry());
        if let Some(endpoint) = endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if settings.anonymous {
            // Else the builder looks for the machine's credentials, which need not be there.
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() })));
        }
        if let Some(key) = secrets.first() {
            builder = builder.with_service_account_key(key.expose());
        }
        Ok(Arc::new(builder.build()?))
    }

    fn failed(&self, doing: &'static str, path: &ObjectPath) -> impl FnOnce(object_store::Error) -> LakeError {
        let name = self.name(path);
        move |source| LakeError::Store { doing, name, source }
    }

    /// The object at `path`; `None` where there is none.
    pub async fn head(&self, path: &ObjectPath) -> Result<Option<ObjectMeta>, LakeError> {
        match self.store()?.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("looking at", path)(e)),
        }
    }

    /// All objects in the folder `path` and below, in no particular order, from the one after `after` on.
    pub async fn list(&self, path: &ObjectPath, after: Option<&ObjectPath>) -> Result<Vec<ObjectMeta>, LakeError> {
        let store = self.store()?;
        let objects = match after {
            None => store.list(Some(path)),
            Some(after) => store.list_with_offset(Some(path), after),
        };
        objects.try_collect().await.map_err(self.failed("listing", path))
    }

    /// The objects in the folder `path`, and the folders in it.
    pub async fn list_folder(&self, path: &ObjectPath) -> Result<(Vec<ObjectMeta>, Vec<ObjectPath>), LakeError> {
        let found = self.store()?.list_with_delimiter(Some(path)).await.map_err(self.failed("listing", path))?;
        Ok((found.objects, found.common_prefixes))
    }

    /// A small object, whole; `None` where there is none.
    pub async fn get(&self, path: &ObjectPath) -> Result<Option<Bytes>, LakeError> {
        let got = match self.store()?.get(path).await {
            Ok(got) => got.bytes().await,
            Err(e) => Err(e),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("reading", path)(e)),
        }
    }

    /// The bytes `range` of the object that `meta` describes, in parts side by side. Another object in its place is an error.
    pub async fn get_range(&self, meta: &ObjectMeta, range: std::ops::Range<u64>) -> Result<Bytes, LakeError> {
        let store = self.store()?;
        let starts = range.clone().step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
        let part = |start: u64| {
            let (store, end) = (store.clone(), range.end.min(start + PART_BYTES));
            async move {
                let options =
                    GetOptions { if_match: meta.e_tag.clone(), range: Some(GetRange::Bounded(start..end)), ..GetOptions::default() };
                store.get_opts(&meta.location, options).await?.bytes().await
            }
        };
        let parts: Vec<Bytes> = futures::stream::iter(starts.map(part))
            .buffered(self.settings.parallel_requests)
            .try_collect()
            .await
            .map_err(self.failed("reading", &meta.location))?;
        let whole = match <[Bytes; 1]>::try_from(parts) {
            Ok([only]) => only,
            Err(parts) => parts
                .into_iter()
                .fold(BytesMut::new(), |mut all, part| {
                    all.extend_from_slice(&part);
                    all
                })
                .freeze(),
        };
        if whole.len() as u64 != range.end - range.start {
            return Err(LakeError::Changed(self.name(&meta.location).into()));
        }
        Ok(whole)
    }

    /// Puts an object in place, unless there is one: then `Ok(false)`.
    pub async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<bool, LakeError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store()?.put_opts(path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(true),
            // S3 answers 409 to one of two writers at the same time: which of them is not settled, a look at the object is.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(e) => Err(self.failed("writing", path)(e)),
        }
    }

    /// Puts an object in place of whatever is there, whole or not at all; a large one in parts side by side.
    pub async fn put(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), LakeError> {
        let store = self.store()?;
        if bytes.len() as u64 <= PART_BYTES {
            store.put(path, PutPayload::from_bytes(bytes)).await.map_err(self.failed("writing", path))?;
            return Ok(());
        }
        let mut upload = store.put_multipart(path).await.map_err(self.failed("writing", path))?;
        let mut rest = bytes;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(usize::try_from(PART_BYTES).unwrap_or(usize::MAX)));
            parts.push(upload.put_part(PutPayload::from_bytes(part)));
        }
        let sent = futures::stream::iter(parts).buffered(self.settings.parallel_requests).try_collect::<Vec<()>>().await;
        let done = match sent {
            Ok(_) => upload.complete().await.map(drop),
            Err(e) => Err(e),
        };
        if let Err(e) = done {
            // What was sent is of no use to anybody; if this fails too, the store's own clean-up of unfinished uploads takes it.
            let _ = upload.abort().await;
            return Err(self.failed("writing", path)(e));
        }
        Ok(())
    }

    /// Gives an object another name, in place of whatever is there. At once only on this machine's file system.
    pub async fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), LakeError> {
        self.store()?.rename(from, to).await.map_err(self.failed("renaming", from))
    }

    /// Deletes objects; absent ones are fine.
    pub async fn delete(&self, paths: Vec<ObjectPath>) -> Result<(), LakeError> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let deleted = self.store()?.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
        let deleted = deleted.filter(|r| std::future::ready(!matches!(r, Err(object_store::Error::NotFound { .. }))));
        deleted.try_for_each(|_| std::future::ready(Ok(()))).await.map_err(self.failed("deleting", &first))
    }
}

/// `builder` with those `variables` of the environment that are set: what the platform tells a process of its identity.
fn with_variables<B, K: std::str::FromStr>(builder: B, variables: &[&str], set: impl Fn(B, K, String) -> B) -> B {
    variables.iter().fold(builder, |builder, name| match (std::env::var(name), name.to_lowercase().parse::<K>()) {
        (Ok(value), Ok(key)) => set(builder, key, value),
        _ => builder,
    })
}
