//! A server that speaks as much of the S3 REST API as an object store's client asks for, in memory: objects, conditions, ranges, lists in
//! pages, multipart uploads, signatures by key id; also in Google's and Azure's dialects. It can lose answers: what was asked for is done, and the client hears of an error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinSet;

/// Objects a page of a list.
pub const PAGE: usize = 7;

pub struct S3Peer {
    pub endpoint: String,
    pub state: Arc<Bucket>,
    _server: JoinSet<()>,
}

#[derive(Default)]
pub struct Bucket {
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<usize, Bytes>>>,
    /// Azure's uncommitted blocks, by key and block.
    blocks: Mutex<BTreeMap<(String, String), Bytes>>,
    versions: AtomicUsize,
    /// The access key that is let in.
    pub key_id: Mutex<String>,
    /// Every so many changes the answer is lost; 0: never.
    pub lose_every: AtomicUsize,
    changes: AtomicUsize,
    /// How many requests came.
    pub requests: AtomicUsize,
}

#[derive(Clone)]
pub struct Object {
    pub bytes: Bytes,
    pub tag: String,
    /// Seconds since 2024: an object is never as old as another.
    pub age: usize,
}

impl S3Peer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Bucket { key_id: Mutex::new("id-1".to_owned()), ..Bucket::default() });
        let router = Router::new().fallback(answer).with_state(state.clone()).layer(axum::extract::DefaultBodyLimit::disable());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, state, _server: server }
    }
}

impl Bucket {
    pub fn put(&self, key: &str, bytes: Bytes) -> String {
        self.put_where(key, bytes, false).unwrap()
    }

    /// The new object's tag; `None` where it was only to be created and is there.
    pub fn put_where(&self, key: &str, bytes: Bytes, create: bool) -> Option<String> {
        let age = self.versions.fetch_add(1, Ordering::SeqCst);
        let tag = format!("\"tag-{age}\"");
        let mut objects = self.objects.lock().unwrap();
        if create && objects.contains_key(key) {
            return None;
        }
        objects.insert(key.to_owned(), Object { bytes, tag: tag.clone(), age });
        Some(tag)
    }

    pub fn get(&self, key: &str) -> Option<Object> {
        self.objects.lock().unwrap().get(key).cloned()
    }

    pub fn remove(&self, key: &str) -> bool {
        self.objects.lock().unwrap().remove(key).is_some()
    }

    pub fn put_part(&self, key: &str, block: &str, bytes: Bytes) {
        self.blocks.lock().unwrap().insert((key.to_owned(), block.to_owned()), bytes);
    }

    pub fn take_parts(&self, key: &str, ids: impl Iterator<Item = String>) -> Bytes {
        let mut blocks = self.blocks.lock().unwrap();
        ids.filter_map(|id| blocks.remove(&(key.to_owned(), id))).flatten().collect::<Vec<u8>>().into()
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Whether the answer to this change is to be lost.
    fn loses(&self) -> bool {
        let every = self.lose_every.load(Ordering::SeqCst);
        every > 0 && self.changes.fetch_add(1, Ordering::SeqCst) % every == every - 1
    }
}

pub fn date(age: usize) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_704_067_200 + i64::try_from(age).unwrap(), 0).unwrap()
}

pub fn failed(status: StatusCode, code: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code><Message>by the peer</Message></Error>")).into_response()
}

pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (other, _) => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

async fn answer(State(bucket): State<Arc<Bucket>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    bucket.requests.fetch_add(1, Ordering::SeqCst);
    let path = decoded(uri.path());
    let azure = path.strip_prefix("/account");
    let authorization = headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let expected = match (azure, bucket.key_id.lock().unwrap().as_str()) {
        (_, "") => String::new(),
        (Some(_), id) => format!("SharedKey {id}:"),
        (None, id) => format!("AWS4-HMAC-SHA256 Credential={id}/"),
    };
    if !authorization.starts_with(&expected) {
        return failed(StatusCode::FORBIDDEN, "InvalidAccessKeyId");
    }
    let query: BTreeMap<String, String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
        .collect();
    let Some(key) =
        azure.unwrap_or(&path).trim_start_matches('/').strip_prefix("bucket").map(|rest| rest.trim_start_matches('/').to_owned())
    else {
        return failed(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    if azure.is_some() {
        let lost = !matches!(method, Method::GET | Method::HEAD) && bucket.loses();
        let done = super::azure::answer(&bucket, &method, &key, &query, &headers, body);
        return if lost { failed(StatusCode::INTERNAL_SERVER_ERROR, "InternalError") } else { done };
    }
    if matches!(method, Method::GET | Method::HEAD) {
        return if query.contains_key("list-type") { list(&bucket, &query) } else { get(&bucket, &key, &headers) };
    }
    let done = change(&bucket, &method, &key, &query, &headers, body);
    if bucket.loses() { failed(StatusCode::INTERNAL_SERVER_ERROR, "InternalError") } else { done }
}

fn list(bucket: &Bucket, query: &BTreeMap<String, String>) -> Response {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let after = [of("continuation-token"), of("start-after")].into_iter().max().unwrap();
    let mut text = String::from("<ListBucketResult>");
    let mut folders = std::collections::BTreeSet::new();
    let (mut count, mut last, mut more) = (0, String::new(), false);
    for (key, object) in bucket.objects.lock().unwrap().range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix)) {
        if *key <= after {
            continue;
        }
        if count == PAGE {
            more = true;
            break;
        }
        count += 1;
        last.clone_from(key);
        let inner = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(&delimiter)).flatten();
        if let Some(end) = inner {
            folders.insert(key[..prefix.len() + end + delimiter.len()].to_owned());
            continue;
        }
        let (key, tag, modified) = (escaped(key), escaped(&object.tag), date(object.age).to_rfc3339());
        let size = object.bytes.len();
        let _ = write!(
            text,
            "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{tag}</ETag><Size>{size}</Size></Contents>"
        );
    }
    for folder in folders {
        let _ = write!(text, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(&folder));
    }
    if more {
        let _ = write!(text, "<NextContinuationToken>{}</NextContinuationToken>", escaped(&last));
    }
    let _ = write!(text, "<KeyCount>{count}</KeyCount><IsTruncated>{more}</IsTruncated></ListBucketResult>");
    text.into_response()
}

pub fn get(bucket: &Bucket, key: &str, headers: &HeaderMap) -> Response {
    let Some(object) = bucket.objects.lock().unwrap().get(key).cloned() else {
        return failed(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    if headers.get(header::IF_MATCH).is_some_and(|tag| tag.as_bytes() != object.tag.as_bytes()) {
        return failed(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    let modified = date(object.age).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let generation = header::HeaderName::from_static("x-goog-generation");
    let described = [(header::ETAG, object.tag.clone()), (header::LAST_MODIFIED, modified), (generation, object.age.to_string())];
    let range = headers.get(header::RANGE).and_then(|r| r.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let Some((start, end)) = range else { return (described, object.bytes).into_response() };
    let whole = object.bytes.len();
    let start: usize = start.parse().unwrap();
    let end = end.parse::<usize>().map_or(whole, |e| (e + 1).min(whole));
    if start >= end {
        return failed(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
    }
    let place = [(header::CONTENT_RANGE, format!("bytes {start}-{}/{whole}", end - 1))];
    (StatusCode::PARTIAL_CONTENT, described, place, object.bytes.slice(start..end)).into_response()
}

fn change(bucket: &Bucket, method: &Method, key: &str, query: &BTreeMap<String, String>, headers: &HeaderMap, body: Bytes) -> Response {
    let upload = query.get("uploadId");
    match (method, upload) {
        (&Method::POST, _) if query.contains_key("delete") => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let mut answer = String::from("<DeleteResult>");
            for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
                bucket.objects.lock().unwrap().remove(&key.replace("&amp;", "&"));
                let _ = write!(answer, "<Deleted><Key>{key}</Key></Deleted>");
            }
            (answer + "</DeleteResult>").into_response()
        }
        (&Method::POST, _) if query.contains_key("uploads") => {
            let id = format!("upload-{}", bucket.versions.fetch_add(1, Ordering::SeqCst));
            bucket.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
            format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>").into_response()
        }
        (&Method::PUT, Some(id)) => {
            let number: usize = query["partNumber"].parse().unwrap();
            match bucket.uploads.lock().unwrap().get_mut(id) {
                Some(parts) => parts.insert(number, body),
                None => return failed(StatusCode::NOT_FOUND, "NoSuchUpload"),
            };
            [(header::ETAG, format!("\"part-{number}\""))].into_response()
        }
        (&Method::POST, Some(id)) => {
            let Some(parts) = bucket.uploads.lock().unwrap().get(id).cloned() else {
                return failed(StatusCode::NOT_FOUND, "NoSuchUpload");
            };
            let tag = bucket.put(key, parts.into_values().flatten().collect::<Vec<u8>>().into());
            format!("<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>", escaped(&tag)).into_response()
        }
        (&Method::DELETE, Some(id)) => {
            bucket.uploads.lock().unwrap().remove(id);
            StatusCode::NO_CONTENT.into_response()
        }
        (&Method::DELETE, None) => {
            bucket.objects.lock().unwrap().remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        (&Method::PUT, None) => {
            let create = headers.get(header::IF_NONE_MATCH).is_some_and(|h| h.as_bytes() == b"*")
                || headers.get("x-goog-if-generation-match").is_some_and(|h| h.as_bytes() == b"0");
            let Some(tag) = bucket.put_where(key, body, create) else {
                return failed(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            };
            [(header::ETAG, tag), (header::HeaderName::from_static("x-goog-generation"), "1".to_owned())].into_response()
        }
        _ => failed(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}
