/*
 * A PKCS#11 module that passes everything on to another one, and goes wrong when it is told to. For tests.
 *
 *   FAULTY_MODULE  the module that does the work
 *   FAULTY_DIR     a directory: every C_Login adds a line to its file "logins", every C_Sign one to "signs";
 *                  a file "fault" that holds a word and a number says what happens at the n-th C_Sign of a
 *                  process: hang, crash, remove (the card is gone for as long as the file "removed" exists),
 *                  general (CKR_GENERAL_ERROR, and gone), decline (CKR_FUNCTION_REJECTED, this once);
 *                  "hang-login" and "hang-load" hang at once;
 *                  a file "slow" holds how many milliseconds each C_Sign takes longer;
 *                  "nohash 0" hides the mechanisms that hash, "pss 0" all but CKM_RSA_PKCS_PSS.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;

struct list {
	unsigned char version[8];
	void *f[68];
};

static struct list ours;
static struct list *theirs;
static int signs;

static char *path(const char *name) {
	static char buffer[4096];
	snprintf(buffer, sizeof buffer, "%s/%s", getenv("FAULTY_DIR"), name);
	return buffer;
}

static void note(const char *name, const char *text) {
	FILE *f = fopen(path(name), "a");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* fault says whether the fault of that name is wanted, and at which call. */
static int fault(const char *name, int *at) {
	char word[32] = "";
	FILE *f = fopen(path("fault"), "r");
	if (!f)
		return 0;
	*at = 0;
	int n = fscanf(f, "%31s %d", word, at);
	fclose(f);
	return n >= 1 && strcmp(word, name) == 0;
}

static int gone(void) { return access(path("removed"), F_OK) == 0; }

static void forever(void) {
	for (;;)
		sleep(1000);
}

static ulong_t get_slot_info(ulong_t slot, unsigned char *info) {
	ulong_t rv = ((ulong_t(*)(ulong_t, unsigned char *))theirs->f[5])(slot, info);
	if (rv == 0 && gone())
		*(ulong_t *)(info + 96) &= ~1UL;
	return rv;
}

static ulong_t get_token_info(ulong_t slot, void *info) {
	if (gone())
		return 0xE0;
	return ((ulong_t(*)(ulong_t, void *))theirs->f[6])(slot, info);
}

static int hidden(ulong_t mechanism) {
	int at;
	if (fault("nohash", &at))
		return mechanism != 1 && mechanism != 0xD;
	if (fault("pss", &at))
		return mechanism != 0xD;
	return 0;
}

static ulong_t get_mechanism_list(ulong_t slot, ulong_t *list, ulong_t *count) {
	ulong_t rv = ((ulong_t(*)(ulong_t, ulong_t *, ulong_t *))theirs->f[7])(slot, list, count);
	if (rv == 0 && list) {
		ulong_t kept = 0;
		for (ulong_t i = 0; i < *count; i++)
			if (!hidden(list[i]))
				list[kept++] = list[i];
		*count = kept;
	}
	return rv;
}

static ulong_t login(ulong_t session, ulong_t user, unsigned char *pin, ulong_t length) {
	int at;
	note("logins", user == 2 ? "context\n" : "user\n");
	if (fault("hang-login", &at))
		forever();
	return ((ulong_t(*)(ulong_t, ulong_t, unsigned char *, ulong_t))theirs->f[18])(session, user, pin, length);
}

static ulong_t sign(ulong_t session, unsigned char *data, ulong_t n, unsigned char *sig, ulong_t *length) {
	int at;
	signs++;
	note("signs", "sign\n");
	FILE *slow = fopen(path("slow"), "r");
	if (slow) {
		if (fscanf(slow, "%d", &at) == 1)
			usleep(at * 1000);
		fclose(slow);
	}
	printf("the module prints what it likes\n");
	fflush(stdout);
	if (gone())
		return 0xB3;
	if (fault("hang", &at) && signs >= at)
		forever();
	if (fault("crash", &at) && signs >= at)
		abort();
	if (fault("remove", &at) && signs >= at) {
		note("removed", "");
		return 0x32;
	}
	if (fault("general", &at) && signs >= at) {
		note("removed", "");
		return 5;
	}
	ulong_t made = ((ulong_t(*)(ulong_t, unsigned char *, ulong_t, unsigned char *, ulong_t *))theirs->f[43])(session, data, n, sig, length);
	return fault("decline", &at) && signs == at ? 0x200 : made;
}

ulong_t C_GetFunctionList(struct list **out) {
	int at;
	if (fault("hang-load", &at))
		forever();
	void *library = dlopen(getenv("FAULTY_MODULE"), RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return 5;
	ulong_t (*get)(struct list **) = (ulong_t(*)(struct list **))dlsym(library, "C_GetFunctionList");
	if (!get || get(&theirs) != 0)
		return 5;
	ours = *theirs;
	ours.f[5] = get_slot_info;
	ours.f[6] = get_token_info;
	ours.f[7] = get_mechanism_list;
	ours.f[18] = login;
	ours.f[43] = sign;
	*out = &ours;
	return 0;
}
