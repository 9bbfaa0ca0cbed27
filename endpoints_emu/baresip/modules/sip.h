/*
 * SIP messages as re 2.0.1 hands them to modules.
 *
 * Declarations are those of re.h 2.0.1 as far as they are used here.
 */
#ifndef UCLAB_SIP_H
#define UCLAB_SIP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct sip;
struct sip_lsnr;
struct ua;

struct le {
	struct le *prev;
	struct le *next;
	struct list *list;
	void *data;
};

struct list {
	struct le *head;
	struct le *tail;
};

struct pl {
	const char *p;
	size_t l;
};

struct mbuf {
	uint8_t *buf;
	size_t size, pos, end;
};

struct sa {
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		uint8_t padding[28];
	} u;
	socklen_t len;
};

struct uri {
	struct pl scheme, user, password, host;
	int af;
	uint16_t port;
	struct pl path, params, headers;
};

struct sip_taddr {
	struct pl dname, auri;
	struct uri uri;
	struct pl params, tag, val;
};

struct sip_msg {
	struct sa src, dst;
	struct pl ver, met, ruri;
	struct uri uri;
	uint16_t scode;
	struct pl reason;
	struct list hdrl;
	struct {
		struct pl sentby;
		struct sa addr;
		struct pl params, branch, val;
		int tp;
	} via;
	struct sip_taddr to, from;
	struct {
		struct pl met;
		uint32_t num;
	} cseq;
	struct {
		struct pl type, subtype, params;
	} ctyp;
	struct pl callid, maxfwd, expires, clen;
	void *hdrht;
	struct mbuf *mb; /* from its position on: the body */
};

typedef void (sip_resp_h)(int err, const struct sip_msg *msg, void *arg);
typedef bool (sip_msg_h)(const struct sip_msg *msg, void *arg);

struct list *uag_list(void);
struct sip *uag_sip(void);
int sip_req_send(struct ua *ua, const char *method, const char *uri, sip_resp_h *resph, void *arg, const char *fmt,
	...);
int sip_listen(struct sip_lsnr **lsnrp, struct sip *sip, bool req, sip_msg_h *msgh, void *arg);
int sip_reply(struct sip *sip, const struct sip_msg *msg, uint16_t scode, const char *reason);
void *mem_deref(void *data);

#endif
