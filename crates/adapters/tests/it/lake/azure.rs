//! The other two dialects of the peer: Azure's Blob REST API, and Google's XML API where it differs from S3's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::s3::{Bucket, PAGE, date, escaped, failed, get};

/// Answers a request to container `bucket` of the Blob service.
pub fn answer(bucket: &Bucket, method: &Method, key: &str, query: &BTreeMap<String, String>, headers: &HeaderMap, body: Bytes) -> Response {
    match (method, query.get("comp").map(String::as_str)) {
        (&Method::GET, Some("list")) => list(bucket, query),
        (&Method::GET | &Method::HEAD, _) => get(bucket, key, headers),
        (&Method::POST, Some("batch")) => delete_batch(bucket, headers, &body),
        (&Method::PUT, Some("block")) => {
            bucket.put_part(key, &query["blockid"], body);
            StatusCode::CREATED.into_response()
        }
        (&Method::PUT, Some("blocklist")) => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let ids = text.split("</").filter_map(|piece| piece.rsplit_once('>').map(|(_, id)| id.to_owned())).filter(|id| !id.is_empty());
            let tag = bucket.put(key, bucket.take_parts(key, ids));
            (StatusCode::CREATED, [(header::ETAG, tag)]).into_response()
        }
        (&Method::PUT, _) => {
            let create = headers.get(header::IF_NONE_MATCH).is_some_and(|h| h.as_bytes() == b"*");
            match bucket.put_where(key, body, create) {
                Some(tag) => (StatusCode::CREATED, [(header::ETAG, tag)]).into_response(),
                None => failed(StatusCode::CONFLICT, "BlobAlreadyExists"),
            }
        }
        _ => failed(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb"),
    }
}

fn list(bucket: &Bucket, query: &BTreeMap<String, String>) -> Response {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let (marker, from) = (of("marker"), of("startFrom"));
    let mut text = String::from("<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
    let (mut folders, mut next) = (BTreeSet::new(), String::new());
    let keys = bucket.keys().into_iter().filter(|k| k.starts_with(&prefix) && *k >= from && *k >= marker);
    for (count, key) in keys.enumerate() {
        if count == PAGE {
            next = key;
            break;
        }
        let inner = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(&delimiter)).flatten();
        if let Some(end) = inner {
            folders.insert(key[..prefix.len() + end + delimiter.len()].to_owned());
            continue;
        }
        let Some(object) = bucket.get(&key) else { continue };
        let (key, tag, size) = (escaped(&key), escaped(&object.tag), object.bytes.len());
        let modified = date(object.age).format("%a, %d %b %Y %H:%M:%S GMT");
        let _ = write!(
            text,
            "<Blob><Name>{key}</Name><Properties><Last-Modified>{modified}</Last-Modified><Etag>{tag}</Etag><Content-Length>{size}</Content-Length>\
             <Content-Type>application/octet-stream</Content-Type></Properties></Blob>"
        );
    }
    for folder in folders {
        let _ = write!(text, "<BlobPrefix><Name>{}</Name></BlobPrefix>", escaped(&folder));
    }
    let _ = write!(text, "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>", escaped(&next));
    text.into_response()
}

/// A batch of deletes is a multipart message of requests; so is the answer of answers.
fn delete_batch(bucket: &Bucket, _: &HeaderMap, body: &Bytes) -> Response {
    let text = String::from_utf8_lossy(body);
    let mut answer = String::new();
    let targets = text.lines().filter_map(|line| line.strip_prefix("DELETE ")?.split(' ').next());
    for (id, target) in targets.enumerate() {
        let path = super::s3::decoded(target.split('?').next().unwrap());
        let key = path.split_once("/bucket/").map_or("", |(_, key)| key);
        let status = if bucket.remove(key) { "202 Accepted" } else { "404 The specified blob does not exist." };
        let _ = write!(
            answer,
            "--answers\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\nHTTP/1.1 {status}\r\nx-ms-request-id: 1\r\n\r\n\r\n"
        );
    }
    answer.push_str("--answers--\r\n");
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "multipart/mixed; boundary=answers")], answer).into_response()
}
