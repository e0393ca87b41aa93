from kubernetes import client, config

if __name__ == "__main__":
    config.load_incluster_config()
    print(client.CoreV1Api().list_namespaced_pod("default"))
