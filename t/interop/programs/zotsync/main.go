// Copyright (C) the ngx_http_oci_module authors
//
// Makes the requests of zot's sync extension against a registry, with the
// client library that it uses, in its order, for one repository of the
// catalog: what SyncRepo() of pkg/extensions/sync does where neither a
// signature nor the original digest is asked for.
//
// usage: zotsync HOST:PORT REPOSITORY FOLDER
//
// Leaves an OCI layout in FOLDER and prints the tags, one a line.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme"
	"github.com/regclient/regclient/types/manifest"
	"github.com/regclient/regclient/types/ref"
)

var ctx = context.Background()

// Tags that name what is attached to an image, by its digest: these come
// with it.

var attached = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// A page of the catalog after the other, until one is empty or the same.

func catalog(rc *regclient.RegClient, host string) ([]string, error) {
	var all []string

	h, err := ref.NewHost(host)
	if err != nil {
		return nil, err
	}

	if _, err = rc.Ping(ctx, h); err != nil {
		return nil, err
	}

	for last := ""; ; {
		var opts []scheme.RepoOpts

		if last != "" {
			opts = append(opts, scheme.WithRepoLast(last))
		}

		page, err := rc.RepoList(ctx, host, opts...)
		if err != nil {
			return nil, err
		}

		repos, err := page.GetRepos()
		if err != nil {
			return nil, err
		}

		if len(repos) == 0 || last == repos[len(repos)-1] {
			return all, nil
		}

		all = append(all, repos...)
		last = repos[len(repos)-1]
	}
}

// The digest after a conversion to OCI: every manifest of the tree.

func tree(rc *regclient.RegClient, r ref.Ref) error {
	m, err := rc.ManifestGet(ctx, r)
	if err != nil {
		return err
	}

	defer rc.Close(ctx, m.GetRef())

	index, ok := m.(manifest.Indexer)
	if !ok {
		return nil
	}

	children, err := index.GetManifestList()
	if err != nil {
		return err
	}

	for _, d := range children {
		if err = tree(rc, r.SetDigest(d.Digest.String())); err != nil {
			return err
		}
	}

	return nil
}

// What refers to an image, and what refers to that.

func referrers(rc *regclient.RegClient, from, to ref.Ref) error {
	if from.Tag != "" {
		m, err := rc.ManifestHead(ctx, from)
		if err != nil {
			return err
		}

		rc.Close(ctx, m.GetRef())
	}

	list, err := rc.ReferrerList(ctx, from)
	if err != nil {
		return err
	}

	for _, d := range list.Descriptors {
		f := from.SetDigest(d.Digest.String())
		t := to.SetDigest(d.Digest.String())

		if err = rc.ImageCopy(ctx, f, t); err != nil {
			return err
		}

		if err = referrers(rc, f, t); err != nil {
			return err
		}
	}

	return nil
}

func run(host, repository, folder string) error {
	h := config.HostNew()
	h.Name = host
	h.Hostname = host
	h.RepoAuth = true
	h.TLS = config.TLSDisabled

	rc := regclient.New(regclient.WithDockerCerts(),
		regclient.WithDockerCreds(), regclient.WithConfigHost(*h))

	repositories, err := catalog(rc, host)
	if err != nil {
		return err
	}

	if !slices.Contains(repositories, repository) {
		return errors.New(repository + " is not in the catalog")
	}

	r, err := ref.New(host + "/" + repository)
	if err != nil {
		return err
	}

	list, err := rc.TagList(ctx, r)
	if err != nil {
		return err
	}

	tags, err := list.GetTags()
	if err != nil {
		return err
	}

	for _, tag := range tags {
		if attached.MatchString(tag) {
			continue
		}

		from := r.SetTag(tag)

		to, err := ref.New("ocidir://" + folder + ":" + tag)
		if err != nil {
			return err
		}

		if err = tree(rc, from); err != nil {
			return err
		}

		if err = rc.ImageCopy(ctx, from, to); err != nil {
			return err
		}

		if err = referrers(rc, from, to); err != nil {
			return err
		}

		if err = rc.Close(ctx, to); err != nil {
			return err
		}

		fmt.Println(tag)
	}

	return nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: zotsync HOST:PORT REPOSITORY FOLDER")
		os.Exit(2)
	}

	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "zotsync:", err)
		os.Exit(1)
	}
}
