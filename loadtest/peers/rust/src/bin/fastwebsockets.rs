//! An echo server on fastwebsockets, after its authors' example. `/chat` sends every message to all who are there.

use std::io;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use loadtest_peers::{Room, listen, run};
use tokio::io::BufWriter;
use tokio::task::unconstrained;

type Said = (OpCode, Bytes);

fn main() -> io::Result<()> {
    run(async {
        let listener = listen()?;
        let room: Room<Said> = Room::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true)?;
            let room = room.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| accept(request, room.clone()));
                // A connection that breaks is its client's affair.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    })
}

async fn accept(
    mut request: Request<Incoming>,
    room: Room<Said>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let chat = request.uri().path().starts_with("/chat");
    let (response, socket) = upgrade(&mut request)?;
    if chat {
        tokio::spawn(async move { unconstrained(converse(socket, &room)).await });
    } else {
        tokio::spawn(unconstrained(echo(socket)));
    }
    Ok(response)
}

async fn echo(socket: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn converse(socket: UpgradeFut, room: &Room<Said>) -> Result<(), WebSocketError> {
    // Written through a buffer: what waits for a member leaves in one write.
    let (reader, mut writer) = socket.await?.split(|stream| {
        let (reader, writer) = tokio::io::split(stream);
        (reader, BufWriter::with_capacity(64 << 10, writer))
    });
    let mut reader = FragmentCollectorRead::new(reader);
    let (id, mut messages) = room.join();
    let writing = tokio::spawn(async move {
        while let Some(said) = messages.recv().await {
            let mut next = Some(said);
            while let Some((kind, data)) = next {
                writer.write_frame(Frame::new(true, kind, None, Payload::Borrowed(&data))).await?;
                next = messages.try_recv().ok();
            }
            writer.flush().await?;
        }
        writer.write_frame(Frame::close(1000, b"")).await?;
        writer.flush().await
    });
    // A Close is answered above, once the queue is empty; a chat's members send no Pings.
    let mut ignore = |_| async { Ok::<_, WebSocketError>(()) };
    while let Ok(frame) = reader.read_frame(&mut ignore).await {
        match frame.opcode {
            OpCode::Text | OpCode::Binary => {
                room.say(&(frame.opcode, Bytes::copy_from_slice(&frame.payload)))
            }
            OpCode::Close => break,
            _ => {}
        }
    }
    room.leave(id);
    writing.await.unwrap_or(Ok(()))
}
