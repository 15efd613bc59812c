// Copyright (C) the ngx_http_oci_module authors

// A replay of what kit (KitOps 1.7.0) asks of a registry: its own way to
// upload blobs, and for the rest the library that it asks with (oras-go
// 2.6.0).  Its own files on the disk are an OCI layout here.
//
//	kit push LAYOUT:TAG REFERENCE
//	kit pull REFERENCE FOLDER
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

const (
	agent  = "kitops-cli/1.7.0"
	chunk  = 100 << 20
	atOnce = 5
)

// target is the registry, with an upload that is kit's own.
type target struct {
	*remote.Repository
}

func open(name string) (*target, error) {
	r, err := remote.NewRepository(name)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{}
	r.Client = &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(transport)},
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {agent}},
	}
	r.PlainHTTP = true
	return &target{r}, nil
}

// ask sends one request; the answer's status must be the one wanted, and it
// must say where to go on.
func (t *target) ask(ctx context.Context, method, where string,
	body io.Reader, size int64, header map[string]string,
	status int) (*url.URL, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, where, body)
	if err != nil {
		return nil, nil, err
	}
	if body != nil {
		req.ContentLength = size
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := t.Client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, nil, fmt.Errorf("%s %s: %s: %s", method, where,
			resp.Status, text)
	}
	next, err := resp.Location()
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: no Location", method, where)
	}
	return next, resp.Header, nil
}

func named(where *url.URL, digest string) string {
	q := where.Query()
	q.Set("digest", digest)
	where.RawQuery = q.Encode()
	return where.String()
}

func (t *target) Push(ctx context.Context, d ocispec.Descriptor,
	from io.Reader) error {
	if d.MediaType == ocispec.MediaTypeImageManifest {
		return t.Repository.Push(ctx, d, from)
	}
	ctx = auth.AppendRepositoryScope(ctx, t.Reference, auth.ActionPull,
		auth.ActionPush)
	where, _, err := t.ask(ctx, "POST", fmt.Sprintf(
		"http://%s/v2/%s/blobs/uploads/", t.Reference.Host(),
		t.Reference.Repository), nil, 0, nil, 202)
	if err != nil {
		return err
	}
	kind := map[string]string{"Content-Type": "application/octet-stream"}
	if d.Size < chunk {
		_, _, err = t.ask(ctx, "PUT", named(where, d.Digest.String()), from,
			d.Size, kind, 201)
		return err
	}
	for start := int64(0); start < d.Size; start += chunk {
		last := min(start+chunk, d.Size) - 1
		kind["Content-Range"] = fmt.Sprintf("%d-%d", start, last)
		var h http.Header
		where, h, err = t.ask(ctx, "PATCH", where.String(),
			io.LimitReader(from, last-start+1), last-start+1, kind, 202)
		if err != nil {
			return err
		}
		if got := h.Get("Range"); got != fmt.Sprintf("0-%d", last) {
			return fmt.Errorf("the Range is %q after %d", got, last)
		}
	}
	_, _, err = t.ask(ctx, "PUT", named(where, d.Digest.String()), nil, 0,
		nil, 201)
	return err
}

func push(ctx context.Context, source, reference string) error {
	folder, tag, _ := strings.Cut(source, ":")
	store, err := oci.New(folder)
	if err != nil {
		return err
	}
	to, err := open(reference)
	if err != nil {
		return err
	}
	// all else that a repository can do is hidden: kit shows its progress
	// from between
	_, err = oras.Copy(ctx, store, tag, struct{ oras.Target }{to},
		to.Reference.Reference, oras.CopyOptions{
			CopyGraphOptions: oras.CopyGraphOptions{Concurrency: atOnce}})
	return err
}

// keep fetches a blob into folder, from where an earlier try ended if the
// registry lets it.
func keep(ctx context.Context, from *target, d ocispec.Descriptor,
	folder string) error {
	body, err := from.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	name := filepath.Join(folder, d.Digest.Encoded())
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	check := d.Digest.Verifier()
	had, err := io.Copy(check, file)
	if err != nil {
		return err
	}
	seek, ok := body.(io.ReadSeekCloser)
	if !ok && had > 0 {
		return errors.New("the registry says nothing of ranges")
	}
	if ok {
		if _, err := seek.Seek(had, io.SeekStart); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.MultiWriter(file, check), body); err != nil {
		return err
	}
	if !check.Verified() {
		return fmt.Errorf("%s is not what it should be", name)
	}
	return nil
}

func pull(ctx context.Context, reference, folder string) error {
	from, err := open(reference)
	if err != nil {
		return err
	}
	desc, err := from.Resolve(ctx, from.Reference.Reference)
	if err != nil {
		return err
	}
	raw, err := content.FetchAll(ctx, from, desc)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var wait sync.WaitGroup
	var lock sync.Mutex
	var failed error
	free := make(chan struct{}, atOnce)
	all := append(append([]ocispec.Descriptor{m.Config}, m.Layers...), desc)
	for _, d := range all {
		free <- struct{}{}
		wait.Add(1)
		go func() {
			defer wait.Done()
			err := keep(ctx, from, d, folder)
			lock.Lock()
			failed = errors.Join(failed, err)
			lock.Unlock()
			<-free
		}()
	}
	wait.Wait()
	return failed
}

func main() {
	a := append(os.Args[1:], "", "", "")
	var err error
	switch a[0] {
	case "push":
		err = push(context.Background(), a[1], a[2])
	case "pull":
		err = pull(context.Background(), a[1], a[2])
	default:
		err = fmt.Errorf("no command %q", a[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kit:", err)
		os.Exit(1)
	}
}
