//! The files of the panel, part of the program.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("panel.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("panel.js"))
}

pub(super) async fn mark() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("mark.svg"))
}
