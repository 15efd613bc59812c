// Copyright (C) the ngx_http_oci_module authors
//
// The stargz snapshotter as a process: the command of its repository is a
// module that no proxy serves, its packages are.  What asks the registry
// is theirs alone.
//
// usage: stargz serve SOCKET ROOT CONFIG.json    until SIGTERM
//        stargz build IN.tar OUT.gz              an eStargz layer of a tar

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	api "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/containerd/stargz-snapshotter/service"
	"google.golang.org/grpc"
)

func serve(socket, root, file string) error {
	var config service.Config

	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}

	if err = json.Unmarshal(text, &config); err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(),
		syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	snapshotter, err := service.NewStargzSnapshotterService(ctx, root, &config)
	if err != nil {
		return err
	}

	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}

	server := grpc.NewServer()
	api.RegisterSnapshotsServer(server,
		snapshotservice.FromSnapshotter(snapshotter))

	go func() {
		<-ctx.Done()
		server.Stop()
	}()

	err = server.Serve(listener)

	return errors.Join(err, snapshotter.Close())
}

func build(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}

	defer in.Close()

	stat, err := in.Stat()
	if err != nil {
		return err
	}

	blob, err := estargz.Build(io.NewSectionReader(in, 0, stat.Size()))
	if err != nil {
		return err
	}

	defer blob.Close()

	out, err := os.Create(to)
	if err != nil {
		return err
	}

	if _, err = io.Copy(out, blob); err != nil {
		return err
	}

	if err = out.Close(); err != nil {
		return err
	}

	return json.NewEncoder(os.Stdout).Encode(map[string]string{
		"toc":  blob.TOCDigest().String(),
		"diff": blob.DiffID().String(),
	})
}

func main() {
	err := errors.New("usage: stargz serve SOCKET ROOT CONFIG | build IN OUT")

	if len(os.Args) == 5 && os.Args[1] == "serve" {
		err = serve(os.Args[2], os.Args[3], os.Args[4])

	} else if len(os.Args) == 4 && os.Args[1] == "build" {
		err = build(os.Args[2], os.Args[3])
	}

	if err != nil {
		fmt.Fprintln(os.Stderr, "stargz:", err)
		os.Exit(1)
	}
}
