// Copyright (C) the ngx_http_oci_module authors

// A replay of what modctl 0.2.2 asks of a registry, through the library that
// it asks with (oras-go 2.6.2): the same requests, in the same order, with
// the same headers.  Its own files on the disk are an OCI layout here, and
// nothing is tried a second time.
//
//	modctl push LAYOUT:TAG REFERENCE
//	modctl build LAYOUT:TAG REFERENCE       (build --output-remote)
//	modctl pull REFERENCE FOLDER
//	modctl pull-files REFERENCE FOLDER      (pull --extract-from-remote)
//	modctl fetch REFERENCE FOLDER PATTERN   (fetch --patterns)
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	agent   = "modctl/v0.2.2"
	atOnce  = 5
	pathKey = "org.cncf.model.filepath"
)

// repository asks over connections of a bare transport, and says who it is.
func repository(name string) (*remote.Repository, error) {
	r, err := remote.NewRepository(name)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set("User-Agent", agent)
	if host, err := os.Hostname(); err == nil {
		header.Set("X-Hostname", host)
	}
	if ip := address(); ip != "" {
		header.Set("X-Host-Ip", ip)
	}
	header.Set("X-Cpu-Arch", runtime.GOARCH)
	r.Client = &auth.Client{
		Client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{}}},
		Cache:  auth.NewCache(),
		Header: header,
	}
	r.PlainHTTP = true
	return r, nil
}

func address() string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// each runs f for every layer, some at once.
func each(layers []ocispec.Descriptor, f func(ocispec.Descriptor) error) error {
	var wait sync.WaitGroup
	var lock sync.Mutex
	var failed error
	free := make(chan struct{}, atOnce)
	for _, layer := range layers {
		free <- struct{}{}
		wait.Add(1)
		go func() {
			defer wait.Done()
			err := f(layer)
			lock.Lock()
			failed = errors.Join(failed, err)
			lock.Unlock()
			<-free
		}()
	}
	wait.Wait()
	return failed
}

// local opens LAYOUT:TAG: the store, the manifest and its descriptor.
func local(ctx context.Context, source string) (*oci.Store, []byte,
	ocispec.Descriptor, ocispec.Manifest, error) {
	var m ocispec.Manifest
	folder, tag, _ := strings.Cut(source, ":")
	store, err := oci.New(folder)
	if err != nil {
		return nil, nil, ocispec.Descriptor{}, m, err
	}
	desc, err := store.Resolve(ctx, tag)
	if err != nil {
		return nil, nil, desc, m, err
	}
	raw, err := content.FetchAll(ctx, store, desc)
	if err != nil {
		return nil, nil, desc, m, err
	}
	return store, raw, desc, m, json.Unmarshal(raw, &m)
}

func send(ctx context.Context, to *remote.Repository, store *oci.Store,
	desc ocispec.Descriptor) error {
	there, err := to.Blobs().Exists(ctx, desc)
	if err != nil || there {
		return err
	}
	from, err := store.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer from.Close()
	// no more than a reader: it can't be begun anew
	return to.Blobs().Push(ctx, desc, io.NopCloser(from))
}

func push(ctx context.Context, source, target string, build bool) error {
	store, raw, desc, m, err := local(ctx, source)
	if err != nil {
		return err
	}
	to, err := repository(target)
	if err != nil {
		return err
	}
	tag := to.Reference.Reference
	err = each(m.Layers, func(layer ocispec.Descriptor) error {
		return send(ctx, to, store, layer)
	})
	if err != nil {
		return err
	}
	if err := send(ctx, to, store, m.Config); err != nil {
		return err
	}
	there, err := to.Manifests().Exists(ctx, desc)
	if err != nil {
		return err
	}
	if there {
		if build {
			return nil
		}
		_, body, err := to.FetchReference(ctx, tag)
		if err == nil {
			return body.Close()
		}
		return to.Tag(ctx, desc, tag)
	}
	err = to.Manifests().Push(ctx, desc, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return to.Tag(ctx, desc, tag)
}

// look reads the manifest of a tag.
func look(ctx context.Context, source string) (*remote.Repository,
	ocispec.Descriptor, ocispec.Manifest, error) {
	var m ocispec.Manifest
	from, err := repository(source)
	if err != nil {
		return nil, ocispec.Descriptor{}, m, err
	}
	desc, body, err := from.Manifests().FetchReference(
		ctx, from.Reference.Reference)
	if err != nil {
		return nil, desc, m, err
	}
	defer body.Close()
	return from, desc, m, json.NewDecoder(body).Decode(&m)
}

// keep stores what was fetched under a name, if it is what was asked for.
func keep(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor,
	name string) error {
	body, err := from.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	checked := content.NewVerifyReader(body, desc)
	if _, err := io.Copy(file, checked); err != nil {
		return err
	}
	return checked.Verify()
}

func pull(ctx context.Context, source, folder string, files bool) error {
	from, desc, m, err := look(ctx, source)
	if err != nil {
		return err
	}
	blob := func(d ocispec.Descriptor) error {
		return keep(ctx, from, d, filepath.Join(
			folder, "blobs", "sha256", d.Digest.Encoded()))
	}
	if files {
		return each(m.Layers, func(d ocispec.Descriptor) error {
			return keep(ctx, from, d, filepath.Join(
				folder, d.Annotations[pathKey]))
		})
	}
	if err := each(m.Layers, blob); err != nil {
		return err
	}
	if err := blob(m.Config); err != nil {
		return err
	}
	return blob(desc)
}

func fetch(ctx context.Context, source, folder, pattern string) error {
	from, _, m, err := look(ctx, source)
	if err != nil {
		return err
	}
	var chosen []ocispec.Descriptor
	for _, layer := range m.Layers {
		ok, err := path.Match(pattern, layer.Annotations[pathKey])
		if err != nil {
			return err
		}
		if ok {
			chosen = append(chosen, layer)
		}
	}
	if len(chosen) == 0 {
		return errors.New("no layers matched the patterns")
	}
	return each(chosen, func(d ocispec.Descriptor) error {
		return keep(ctx, from, d, filepath.Join(
			folder, d.Annotations[pathKey]))
	})
}

func main() {
	a := append(os.Args[1:], "", "", "", "")
	ctx := context.Background()
	var err error
	switch a[0] {
	case "push", "build":
		err = push(ctx, a[1], a[2], a[0] == "build")
	case "pull", "pull-files":
		err = pull(ctx, a[1], a[2], a[0] == "pull-files")
	case "fetch":
		err = fetch(ctx, a[1], a[2], a[3])
	default:
		err = fmt.Errorf("no command %q", a[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "modctl:", err)
		os.Exit(1)
	}
}
